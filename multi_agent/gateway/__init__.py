"""A server in front of the services of models: callers write in one format, any service answers."""
