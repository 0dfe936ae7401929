"""Files as people have them, read into `Outcomes`: recognition of the format, columns, prices, data sets.

Not here: tables larger than memory (`envs.windows`) and the contexts of queries (`envs.contexts`).
"""
