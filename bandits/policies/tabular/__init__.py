"""Policies without features: index, posterior and adversarial ones, and the yardsticks that do not learn.

Not here: anything that reads the context, but for `exp4`, whose experts do.
"""
