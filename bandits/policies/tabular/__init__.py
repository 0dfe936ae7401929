"""Policies without features: index, posterior and adversarial ones, and the yardsticks that do not learn."""
