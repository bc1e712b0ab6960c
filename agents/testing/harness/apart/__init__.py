"""Tests in one process and the code under test in another, which can change nothing but its own answers."""
