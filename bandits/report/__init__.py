"""The report of a run: one HTML file that opens offline, made from the run's tables and manifest alone."""

from bandits.report.page import render as render
