"""What several calls are worth against one, on a table: router against cascade at equal cost, looks that are bought.

Learned on one part of the queries, compared on the other, with intervals and sentences. Not here: the searches
themselves (`bandits.sequential`) and the loop.
"""
