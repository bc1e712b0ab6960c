"""Trees as folders: checkouts that are kept for the next workspace, and trees that workspaces bring back."""
