"""What any policy could gain on a table: cross-validated learners that are told every model's outcome.

Not here: policies, which hear one outcome a query (`bandits.policies`).
"""
