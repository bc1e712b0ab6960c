"""The systems to which this project is compared. Each module has jobs for `benchmarks.run_job`."""
