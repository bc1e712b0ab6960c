"""The pure core: what follows from an event. No clock, no bus, no SQL."""
