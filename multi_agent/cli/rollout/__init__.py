"""Commands about rollouts from a legacy agent."""
