"""Which tests may run in another process than the code they test."""
