"""The crash certificate: real processes and services under faults, and a check of what was promised."""
