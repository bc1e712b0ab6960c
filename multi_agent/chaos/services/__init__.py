"""Private services that can be killed, cut off and slowed down."""
