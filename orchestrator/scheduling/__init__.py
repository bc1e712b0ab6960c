"""What is dispatched when, which worker holds it, and what one transaction writes. No I/O."""
