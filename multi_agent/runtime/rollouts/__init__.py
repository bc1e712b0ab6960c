"""The process that programs reach a rollout through."""
