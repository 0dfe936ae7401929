"""The one loop: rounds, seeds, chunks, and feedback that comes late.

Not here: how a policy decides (`bandits.policies`) and what is computed from a trace (`bandits.metrics`).
"""
