"""Workspaces at sandbox hosts: their holder's side, and the host's."""
