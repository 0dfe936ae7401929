"""Routing policies, rewards, the replay loop and what is computed from its traces."""

from __future__ import annotations

from bandits import metrics, rewards
from bandits.base import Feedback, Observation, Policy, check, choose
from bandits.loop.replay import Trace, replay
from bandits.policies import *  # noqa: F403  every policy by its name, so that a new one needs no line here
from bandits.policies import POLICIES
from bandits.rewards import reward_table
from bandits.serving.router import load

__all__ = [
    "POLICIES",
    "Feedback",
    "Observation",
    "Policy",
    "Trace",
    "check",
    "choose",
    "load",
    "metrics",
    "replay",
    "reward_table",
    "rewards",
    *POLICIES,
]
