"""Adapters of the model port: one module for each SDK or source of answers."""
