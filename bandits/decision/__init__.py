"""From what every choice earned and cost to a decision: pure arithmetic on arrays, and the sentences that say it.

Not here: how policies are played (`bandits.experiment`), the page (`bandits.report`), the files (`bandits.publish`).
"""
