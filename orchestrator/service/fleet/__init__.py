"""The workers of an orchestrator, what they hold, and what is lost when they are."""
