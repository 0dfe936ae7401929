"""Tables larger than memory, read window by window.

Not here: the formats that fit in memory (`envs.tables`).
"""
