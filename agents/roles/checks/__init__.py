"""How work is judged: tests that are run, a change as a whole, tests that are looked at again."""
