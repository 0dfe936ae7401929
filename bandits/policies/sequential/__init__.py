"""Policies that may call again for a query: they hear a judge's score of each answer and decide whether it will do.

A run with `--calls M` plays them in the slots of a round (`bandits.loop.slots`); every other policy stops after one
call. Not here: searches for such rules on a table (`bandits.sequential`).
"""

from __future__ import annotations

from collections.abc import Callable

from bandits.base import Policy
from bandits.policies.sequential.adaptive_consistency import adaptive_consistency
from bandits.policies.sequential.automix import automix
from bandits.policies.sequential.c2ucb import c2ucb
from bandits.policies.sequential.cascade import cascade
from bandits.policies.sequential.cascade_routing import cascade_routing
from bandits.policies.sequential.frugal import frugal
from bandits.policies.sequential.look import look
from bandits.policies.sequential.pandora import pandora
from bandits.policies.sequential.router_r1 import router_r1

# Name on the command line -> factory, as in `bandits.policies.POLICIES`; they play with several calls a query only.
SEQUENTIAL: dict[str, Callable[..., Policy]] = {
    "cascade": cascade,
    "pandora": pandora,
    "frugal": frugal,
    "automix": automix,
    "cascade_routing": cascade_routing,
    "adaptive_consistency": adaptive_consistency,
    "router_r1": router_r1,
    "c2ucb": c2ucb,
    "look": look,
}
