"""Merging commits by path, without a work tree."""
