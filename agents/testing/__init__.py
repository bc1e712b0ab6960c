"""Running tests in the sandbox, and judging what they prove."""
