"""What is wrong with a model's answer is asked for again, and nothing else."""
