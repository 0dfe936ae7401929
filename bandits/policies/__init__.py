"""Policies: from a context to an arm, learned from what was heard; one folder a family, and their names.

Not here: what goes around a policy (`bandits.wrappers`) and what plays one (`bandits.loop`).
"""

from __future__ import annotations

from collections.abc import Callable

from bandits.base import Policy
from bandits.policies.linear.averaged import averaged
from bandits.policies.linear.bootstrap import bootstrap
from bandits.policies.linear.feelgood import feelgood
from bandits.policies.linear.forgetting import dlinucb, swlinucb
from bandits.policies.linear.glm import glm
from bandits.policies.linear.greedy import epsilon, greedy, softmax
from bandits.policies.linear.hybrid import hybrid
from bandits.policies.linear.ids import ids
from bandits.policies.linear.linucb import linucb
from bandits.policies.linear.paired import paired
from bandits.policies.linear.preference import preference
from bandits.policies.linear.squarecb import regcb, squarecb
from bandits.policies.linear.thompson import thompson
from bandits.policies.llmbandit.policy import llmbandit
from bandits.policies.neural.barp import barp
from bandits.policies.neural.dropout import dropout
from bandits.policies.neural.neurallinear import neurallinear
from bandits.policies.neural.neuralucb import neuralts, neuralucb
from bandits.policies.selection.auto import auto
from bandits.policies.selection.balanced import balanced
from bandits.policies.selection.corral import corral
from bandits.policies.tabular.beta_thompson import beta_thompson
from bandits.policies.tabular.ebucb import ebucb
from bandits.policies.tabular.elimination import successive_elimination
from bandits.policies.tabular.exp3 import exp3
from bandits.policies.tabular.exp4 import exp4
from bandits.policies.tabular.fixed import always, uniform
from bandits.policies.tabular.hierarchical import hierarchical
from bandits.policies.tabular.klucb import klucb
from bandits.policies.tabular.ucb1 import ucb1

# Name on the command line -> factory `(n_arms, dim, *, hyper=...) -> Policy`. `simulate.py list` and the
# conformance suite walk this table, and the place gives the colour in reports; a user's own policy needs no entry.
POLICIES: dict[str, Callable[..., Policy]] = {
    "linucb": linucb,
    "thompson": thompson,
    "epsilon": epsilon,
    "preference": preference,
    "squarecb": squarecb,
    "averaged": averaged,
    "swlinucb": swlinucb,
    "dlinucb": dlinucb,
    "greedy": greedy,
    "softmax": softmax,
    "regcb": regcb,
    "hybrid": hybrid,
    "glm": glm,
    "bootstrap": bootstrap,
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
    "auto": auto,
    "ebucb": ebucb,
    "ids": ids,
    "feelgood": feelgood,
    "balanced": balanced,
    "corral": corral,
    "paired": paired,
    "hierarchical": hierarchical,
}

__all__ = ["POLICIES", *POLICIES]
