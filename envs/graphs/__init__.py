"""Queries that are programs: their task graphs, outcomes of every assignment of models to kinds of step, as streams.

From M3 (arXiv 2310.08446) and its MS-GQA: the released layout (`released`), and a synthetic stand-in with the true mix
of graphs (`made`): the release's outcomes are not in its repository. Not here: what learns (`bandits.graphs`).
"""
