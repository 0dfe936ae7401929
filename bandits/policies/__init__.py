"""Policies: from a context to an arm, learned from what was heard; one folder a family.

Not here: what goes around a policy (`bandits.wrappers`) and what plays one (`bandits.loop`).
"""
