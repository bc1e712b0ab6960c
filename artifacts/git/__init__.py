"""The git program: processes, objects, refs and locks of a bare repository."""
