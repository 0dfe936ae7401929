"""The tables of a run, computed from traces: summary, by data set, spending, phases, differences.

Not here: the arithmetic (`bandits.metrics`), the files (`bandits.folders`) and the pages (`bandits.report`).
"""
