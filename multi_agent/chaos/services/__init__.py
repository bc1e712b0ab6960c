"""Private services that can be killed, disconnected and slowed down."""
