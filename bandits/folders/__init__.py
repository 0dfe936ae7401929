"""What a run leaves on disk: written, read again, continued after a stop, exported.

Not here: how its tables are computed (`bandits.results`) and how its page looks (`bandits.report`).
"""
