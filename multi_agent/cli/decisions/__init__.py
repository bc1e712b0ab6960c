"""Commands by which operators decide: approve, reject, answer, cancel, retry."""
