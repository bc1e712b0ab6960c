"""The documents people and agents write: plans and reports, and the checks beyond their schemas."""
