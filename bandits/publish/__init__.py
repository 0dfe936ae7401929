"""From runs to what is shown of them: a table played window by window, several runs side by side, a comparison.

Not here: what a folder holds (`bandits.folders`), how a page looks (`bandits.report`), the numbers (`bandits.results`).
"""
