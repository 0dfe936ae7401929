"""What can be typed: options, commands and what they print. The only package that knows click."""
