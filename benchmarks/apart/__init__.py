"""How many tests of one-line bugs run apart from the code they test."""
