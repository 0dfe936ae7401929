"""Several calls a query on a table whose answers were judged: searches for cascades, gates and sets, and measures.

Pure functions over arrays, float64, no loop and no stream. Not here: policies that play such a rule round by round
(`bandits.policies.sequential`), the loop's slots (`bandits.loop.slots`), comparisons on a table (`bandits.contests`).
"""
