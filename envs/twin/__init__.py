"""The calibrated twin of MMR-Bench: its published figures, the copula fitted to them, the table made from it.

Not here: recorded answers (`envs.tables`).
"""
