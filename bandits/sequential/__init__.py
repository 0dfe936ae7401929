"""Several calls a query on a table whose answers were judged: searches for cascades and gates, and measures.

Pure functions over arrays, float64, no loop and no stream. Not here: policies that play such a rule round by round
(`bandits.policies.sequential`), and the loop's slots (`bandits.loop.slots`).
"""
