"""`python -m multi_agent.cli`."""

from multi_agent.cli import main

if __name__ == "__main__":
    main()
