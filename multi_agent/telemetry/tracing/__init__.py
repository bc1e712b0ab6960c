"""Traces: what happened in a workflow as spans, from what is stored."""
