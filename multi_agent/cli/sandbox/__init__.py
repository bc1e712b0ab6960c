"""The commands of `sandbox`."""
