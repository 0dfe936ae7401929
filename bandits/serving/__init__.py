"""A learned linear policy in service: the router, its settings and the file that it is kept in; NumPy alone decides.

Not here: how a router is made from a finished run (`bandits.folders.export`).
"""
