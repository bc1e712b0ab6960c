"""Commands that give a user what a workflow made."""
