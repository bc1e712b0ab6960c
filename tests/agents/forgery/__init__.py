"""Programs that want to look right, and honest ones; `python -m tests.agents.forgery` tries them all."""
