"""Measures all memory of a sandbox, the kernel's for it included."""
