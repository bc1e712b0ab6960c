"""Real bug fixes of public repositories, chosen by a rule; agents make them, the tests of the fix judge."""
