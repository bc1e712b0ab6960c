"""Scripts that run inside the sandbox. They use the standard library, pytest and, if present, coverage."""
