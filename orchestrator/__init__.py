"""The owner of the state: decides, stores, dispatches."""
