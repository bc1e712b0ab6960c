"""What every backend shares: the job, the conversation with a sandbox, its limits and its end."""
