"""How fast this is, against a hand-written limit and against peers; `python -m benchmarks` runs it all."""
