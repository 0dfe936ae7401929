"""What can be typed: options, commands and what they print. The only package that imports click.

Not here: anything that a program could want without a terminal.
"""
