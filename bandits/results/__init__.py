"""The tables of a run: what one tally has added up window by window, then spending, phases, differences.

Not here: the arithmetic (`bandits.metrics`), the files (`bandits.folders`) and the pages (`bandits.report`).
"""
