"""Ways of spending a budget, each a wrapper from policy to policy; `bandits.wrappers.budget` chooses among them.

Not here: what a budget is and when it is used up (`bandits.wrappers.budget`).
"""
