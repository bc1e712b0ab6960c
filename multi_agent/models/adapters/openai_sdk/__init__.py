"""Services that are asked through the `openai` SDK: chat completions, and responses."""
