"""Ways of spending a budget, each a wrapper from policy to policy; `bandits.budget` chooses among them."""
