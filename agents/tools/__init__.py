"""What an agent does in a workspace: functions with typed arguments, which answer with text."""
