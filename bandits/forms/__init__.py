"""Policies as numbers: what a learned policy keeps, how it ranks models and how it learns, in NumPy alone.

A policy says of itself which form it has (`base.formed`); `bandits.serving` keeps forms in files and decides by them.
Not here: how a policy is replayed (`bandits.policies`, in JAX), how its state is found again (`bandits.loop.relearn`).
"""

from __future__ import annotations

from bandits.forms.averaged import Averaging
from bandits.forms.choosing import Balancing, Corralling, Plain
from bandits.forms.effects import Mixed
from bandits.forms.forgetting import Fading, Windowed
from bandits.forms.guarding import Guarding
from bandits.forms.linear import Bagged, Joint, Logistic, Paired, Ridges
from bandits.forms.sampling import Cheering, Directed
from bandits.forms.shrunk import Shrunk
from bandits.forms.tabular import BetaCounts, Bounds, Fixed, Losing, Racing

__all__ = [
    "Averaging",
    "Bagged",
    "Balancing",
    "BetaCounts",
    "Bounds",
    "Cheering",
    "Corralling",
    "Directed",
    "Fading",
    "Fixed",
    "Forms",
    "Guarding",
    "Joint",
    "Logistic",
]
__all__ += ["Losing", "Mixed", "Paired", "Racing", "Ridges", "Shrunk", "Windowed"]

Forms = Plain | Balancing | Corralling | Guarding
