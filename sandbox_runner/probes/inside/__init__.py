"""The programs that the probes run in the sandbox. They use the standard library only."""
