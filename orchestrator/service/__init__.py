"""The orchestrator as a process: it takes shards, gathers messages, commits batches and acts on them."""
