"""What people and programs see of processes that run: whether they live, their logs, counts and troubles."""
