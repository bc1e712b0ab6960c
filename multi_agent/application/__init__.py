"""Everything a user can do, implemented once for all faces, with typed results. Prints nothing."""
