"""The composition root: settings, services, command line."""
