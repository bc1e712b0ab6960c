"""What people use: command line and Python facade, and how everything is put together and run."""
