"""Ways of spending a budget, each a wrapper from policy to policy; `bandits.wrappers.budget` chooses among them."""
