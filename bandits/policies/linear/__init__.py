"""Policies on a per-arm ridge posterior, and the posterior itself.

Not here: networks (`neural`), policies without features (`tabular`).
"""
