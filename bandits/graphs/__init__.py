"""Model selection on task graphs: bandits that play it online, M3's network that is trained on labels, and its curves.

Not here: the streams (`envs.graphs`), the policy of one bandit a kind of step (`bandits.policies.sequential.factored`),
drawings (`bandits.report`).
"""
