"""The systems that ours is measured against. Each module has jobs for `benchmarks.run_job`."""
