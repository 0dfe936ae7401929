"""Wrappers from policy to policy: a budget, a start from a log, a restart at a change, a trial of what is new.

Not here: policies that stand alone (`bandits.policies`).
"""
