"""The way to the user's package indexes: a proxy on loopback, which alone knows their passwords."""
