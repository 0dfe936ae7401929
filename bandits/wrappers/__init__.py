"""Wrappers from policy to policy: a start from a log, a restart at a change, a trial of what is new."""
