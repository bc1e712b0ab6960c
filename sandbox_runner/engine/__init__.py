"""The parts that every backend shares: the job, the protocol with a sandbox, its limits and its removal."""
