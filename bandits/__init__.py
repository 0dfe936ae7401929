"""Who decides: policies, rewards, the replay loop and what is computed from its traces."""

from __future__ import annotations

from collections.abc import Callable

from bandits import metrics as metrics
from bandits import rewards as rewards
from bandits.base import Feedback as Feedback
from bandits.base import Observation as Observation
from bandits.base import Policy as Policy
from bandits.base import check as check
from bandits.base import choose as choose
from bandits.linear.bootstrap import bootstrap as bootstrap
from bandits.linear.forgetting import dlinucb as dlinucb
from bandits.linear.forgetting import swlinucb as swlinucb
from bandits.linear.glm import glm as glm
from bandits.linear.greedy import epsilon as epsilon
from bandits.linear.greedy import greedy as greedy
from bandits.linear.greedy import softmax as softmax
from bandits.linear.hybrid import hybrid as hybrid
from bandits.linear.linucb import linucb as linucb
from bandits.linear.preference import preference as preference
from bandits.linear.squarecb import regcb as regcb
from bandits.linear.squarecb import squarecb as squarecb
from bandits.linear.thompson import thompson as thompson
from bandits.llmbandit.policy import llmbandit as llmbandit
from bandits.loop.replay import Trace as Trace
from bandits.loop.replay import replay as replay
from bandits.neural.barp import barp as barp
from bandits.neural.dropout import dropout as dropout
from bandits.neural.neurallinear import neurallinear as neurallinear
from bandits.neural.neuralucb import neuralts as neuralts
from bandits.neural.neuralucb import neuralucb as neuralucb
from bandits.rewards import reward_table as reward_table
from bandits.runs.serving import load as load
from bandits.tabular.beta_thompson import beta_thompson as beta_thompson
from bandits.tabular.elimination import successive_elimination as successive_elimination
from bandits.tabular.exp3 import exp3 as exp3
from bandits.tabular.exp4 import exp4 as exp4
from bandits.tabular.fixed import always as always
from bandits.tabular.fixed import uniform as uniform
from bandits.tabular.klucb import klucb as klucb
from bandits.tabular.ucb1 import ucb1 as ucb1

# Name on the command line -> factory `(n_arms, dim, *, hyper=...) -> Policy`. `simulate.py list` and the
# conformance suite walk this table; a user's own policy needs no entry.
POLICIES: dict[str, Callable[..., Policy]] = {
    "linucb": linucb,
    "thompson": thompson,
    "epsilon": epsilon,
    "greedy": greedy,
    "softmax": softmax,
    "squarecb": squarecb,
    "regcb": regcb,
    "hybrid": hybrid,
    "dlinucb": dlinucb,
    "swlinucb": swlinucb,
    "glm": glm,
    "bootstrap": bootstrap,
    "preference": preference,
    "barp": barp,
    "llmbandit": llmbandit,
    "neuralucb": neuralucb,
    "neuralts": neuralts,
    "neurallinear": neurallinear,
    "dropout": dropout,
    "ucb1": ucb1,
    "klucb": klucb,
    "beta_thompson": beta_thompson,
    "exp3": exp3,
    "exp4": exp4,
    "successive_elimination": successive_elimination,
    "uniform": uniform,
    "always": always,
}
