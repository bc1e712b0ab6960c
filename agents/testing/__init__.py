"""Running tests in the sandbox, and judging whether their results can be trusted."""
