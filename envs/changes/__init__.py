"""What changes during a stream: prices, outages, new models, regressions, traffic, duels; and scenarios of them.

Not here: the table before any change (`envs.outcomes`).
"""
