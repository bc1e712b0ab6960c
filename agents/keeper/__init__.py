"""The keeper: holds the slot processes of a worker, speaks for them, and ends what does not end itself.

Runs no agent and imports none. `judgement` decides, `keeper` acts, `voice` speaks.
"""
