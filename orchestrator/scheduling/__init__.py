"""What is dispatched when, by whom it is held, and what one transaction writes. No I/O."""
