"""`python -m multi_agent.cli`."""

from multi_agent.cli import main

main()
