"""Policies on a network: gradient, last-layer and dropout exploration, and the policy-gradient router.

Not here: LLM Bandit, which is trained on a log (`llmbandit`).
"""
