"""From what was asked for, as text, to finished runs, their tables and their files."""
