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
from bandits.bootstrap import bootstrap as bootstrap
from bandits.fixed import always as always
from bandits.fixed import uniform as uniform
from bandits.forgetting import dlinucb as dlinucb
from bandits.forgetting import swlinucb as swlinucb
from bandits.glm import glm as glm
from bandits.greedy import epsilon as epsilon
from bandits.greedy import greedy as greedy
from bandits.greedy import softmax as softmax
from bandits.hybrid import hybrid as hybrid
from bandits.linucb import linucb as linucb
from bandits.preference import preference as preference
from bandits.replay import Trace as Trace
from bandits.replay import replay as replay
from bandits.rewards import reward_table as reward_table
from bandits.squarecb import regcb as regcb
from bandits.squarecb import squarecb as squarecb
from bandits.thompson import thompson as thompson

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
    "uniform": uniform,
    "always": always,
}
