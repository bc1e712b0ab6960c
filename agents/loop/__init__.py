"""An agent that works in steps: it asks a model what to do, does it, and shows what came of it."""
