"""Policies as numbers: what a learned policy keeps, how it ranks models and how it learns, in NumPy alone.

A policy says of itself which form it has (`base.formed`); `bandits.serving` keeps forms in files and decides by them.
Not here: how a policy is replayed (`bandits.policies`, in JAX), how its state is found again (`bandits.loop.relearn`).
"""

from __future__ import annotations

from bandits.forms.averaged import Averaging
from bandits.forms.forgetting import Fading, Windowed
from bandits.forms.linear import Bagged, Joint, Logistic, Paired, Ridges
from bandits.forms.tabular import BetaCounts, Bounds, Fixed, Losing, Racing

__all__ = [
    "Averaging",
    "Bagged",
    "BetaCounts",
    "Bounds",
    "Fading",
    "Fixed",
    "Forms",
    "Joint",
    "Logistic",
    "Losing",
    "Paired",
]
__all__ += ["Racing", "Ridges", "Windowed"]

Forms = (
    Ridges
    | Averaging
    | Fading
    | Windowed
    | Bagged
    | Joint
    | Logistic
    | Paired
    | Bounds
    | BetaCounts
    | Losing
    | Racing
    | Fixed
)
