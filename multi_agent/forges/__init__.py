"""GitHub and GitLab by their REST interfaces: issues are read, pull and merge requests are opened."""
