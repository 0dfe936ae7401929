"""The calibrated twin of MMR-Bench: its published figures, the copula fitted to them, the table made from it.

Beside it a synthetic table of how many documents to give a model, with M2RAG's recorded changes of answers.

Not here: recorded answers (`envs.tables`).
"""
