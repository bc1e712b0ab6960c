"""Private services that this program starts for itself. They end when it ends."""
