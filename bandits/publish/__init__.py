"""From runs to folders and pages at once: a table played window by window, and several runs of one ask side by side.

Not here: what a folder holds (`bandits.folders`), how a page looks (`bandits.report`), the numbers (`bandits.results`).
"""
