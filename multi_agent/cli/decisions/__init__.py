"""Commands by which operators decide: approve, reject, cancel, retry."""
