"""Measures this project against a hand-written limit and peers. `python -m benchmarks` runs it all."""
