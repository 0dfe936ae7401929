"""Policies on a per-arm ridge posterior, and the posterior itself."""
