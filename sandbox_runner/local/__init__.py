"""Sandboxes that are processes of this machine: bubblewrap and Linux namespaces."""
