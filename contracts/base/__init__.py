"""What every other room of this package builds on: the base of documents, errors, names, paths."""
