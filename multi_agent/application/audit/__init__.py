"""The audit log: what it says, whether it is whole, its anchors, and effects that it records."""
