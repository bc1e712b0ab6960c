"""Errors, names, paths, strict JSON and the base of documents, on which the other rooms build."""
