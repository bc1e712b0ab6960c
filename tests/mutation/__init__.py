"""Mutants found by a tool: each guard and each pair of effects, and which test notices when it is gone."""
