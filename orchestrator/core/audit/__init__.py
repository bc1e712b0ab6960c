"""The audit log: who decided what, in chains of hashes. Pure."""
