"""What a trace is worth: regret, spend, frontiers and intervals, all computed after the run."""

from bandits.metrics.frontier import hypervolume as hypervolume
from bandits.metrics.frontier import pareto as pareto
from bandits.metrics.intervals import band as band
from bandits.metrics.intervals import clustered as clustered
from bandits.metrics.intervals import paired as paired
from bandits.metrics.intervals import student as student
from bandits.metrics.regret import comparator as comparator
from bandits.metrics.regret import cumulative_regret as cumulative_regret
from bandits.metrics.regret import earned_by as earned_by
from bandits.metrics.regret import exponent as exponent
from bandits.metrics.regret import rewards as rewards
from bandits.metrics.regret import spend as spend
from bandits.metrics.significance import holm as holm
from bandits.metrics.verdict import judge as judge
