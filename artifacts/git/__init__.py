"""The git program and a bare repository: processes, objects, refs and locks."""
