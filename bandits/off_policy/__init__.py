"""From a log with one call a query to what other policies would have earned: reading, targets, values, words.

Not here: the estimators themselves (`bandits.metrics.off_policy`) and how a file is read (`envs.tables.log`).
"""
