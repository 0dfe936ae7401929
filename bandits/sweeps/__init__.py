"""Many runs from one file: what they are, where they are computed, what came of them, which did best.

Not here: one run (`bandits.experiment`).
"""
