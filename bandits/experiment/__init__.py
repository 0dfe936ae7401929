"""From what was asked for, as text, to the traces of a line-up of policies.

Not here: what is computed from traces (`bandits.results`) and what is written (`bandits.folders`).
"""
