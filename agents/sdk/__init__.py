"""What an author of an agent sees: the task, the result, and the mark that makes a class an agent."""
