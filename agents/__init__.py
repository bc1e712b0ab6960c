"""Workers and the agents that ship."""
