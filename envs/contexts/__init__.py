"""From text, images and embeddings of a query to the context that a policy sees.

Not here: the reading of files (`envs.tables`).
"""
