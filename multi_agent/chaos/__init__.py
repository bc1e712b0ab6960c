"""The crash certificate: injects faults into real processes and services, and checks the invariants."""
