"""What runs beside the event loop, and what a process may run short of."""
