"""LLM Bandit (arXiv 2502.02743): identities of models, the router over them, and how it is trained on a log.

Not here: policies that learn during the run only (`neural`).
"""
