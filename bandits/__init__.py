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
from bandits.loop.replay import Trace as Trace
from bandits.loop.replay import replay as replay
from bandits.policies.linear.bootstrap import bootstrap as bootstrap
from bandits.policies.linear.forgetting import dlinucb as dlinucb
from bandits.policies.linear.forgetting import swlinucb as swlinucb
from bandits.policies.linear.glm import glm as glm
from bandits.policies.linear.greedy import epsilon as epsilon
from bandits.policies.linear.greedy import greedy as greedy
from bandits.policies.linear.greedy import softmax as softmax
from bandits.policies.linear.hybrid import hybrid as hybrid
from bandits.policies.linear.linucb import linucb as linucb
from bandits.policies.linear.preference import preference as preference
from bandits.policies.linear.squarecb import regcb as regcb
from bandits.policies.linear.squarecb import squarecb as squarecb
from bandits.policies.linear.thompson import thompson as thompson
from bandits.policies.llmbandit.policy import llmbandit as llmbandit
from bandits.policies.neural.barp import barp as barp
from bandits.policies.neural.dropout import dropout as dropout
from bandits.policies.neural.neurallinear import neurallinear as neurallinear
from bandits.policies.neural.neuralucb import neuralts as neuralts
from bandits.policies.neural.neuralucb import neuralucb as neuralucb
from bandits.policies.tabular.beta_thompson import beta_thompson as beta_thompson
from bandits.policies.tabular.elimination import successive_elimination as successive_elimination
from bandits.policies.tabular.exp3 import exp3 as exp3
from bandits.policies.tabular.exp4 import exp4 as exp4
from bandits.policies.tabular.fixed import always as always
from bandits.policies.tabular.fixed import uniform as uniform
from bandits.policies.tabular.klucb import klucb as klucb
from bandits.policies.tabular.ucb1 import ucb1 as ucb1
from bandits.rewards import reward_table as reward_table
from bandits.serving.router import load as load

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
