"""What a repository needs, read from the files of a commit. Nothing is executed."""
