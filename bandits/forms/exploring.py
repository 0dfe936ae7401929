"""How linear policies explore, as numbers: what a form needs to be computed by JAX in a run and by NumPy in service.

Each way is written once, over `Draws`, which either library provides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, NamedTuple, Protocol

from msgspec import Meta, Struct

if TYPE_CHECKING:
    import jax

Positive = Annotated[float, Meta(gt=0)]
NotNegative = Annotated[float, Meta(ge=0)]
Share = Annotated[float, Meta(ge=0, le=1)]


class Weights(NamedTuple):
    """How this round's index is made: `sum over targets of mean_k * mean + width_k * width + plus`.

    Attributes:
        mean: factor of the estimates, which broadcasts to `(K,)`, or to `(K, m)` where there are `m` targets.
        width: factor of sqrt(x' A_k^-1 x), which broadcasts to `(K,)`.
        plus: added, which broadcasts to `(K,)`.
        rate: `()`; above 0 the arm is drawn by inverse-gap weights of the index at this rate, `plus` being Gumbel
            noise; at 0 the highest index is called.
    """

    mean: Any = 1.0
    width: Any = 0.0
    plus: Any = 0.0
    rate: Any = 0.0


class Draws(Protocol):
    """One round's randomness for `K` arms; `xp` is the library whose arrays it gives."""

    @property
    def xp(self) -> Any:
        """`numpy` or `jax.numpy`."""

    def normal(self) -> Any:
        """Return `(K,)` standard normal numbers."""

    def gumbel(self) -> Any:
        """Return `(K,)` standard Gumbel numbers."""

    def coin(self) -> tuple[Any, Any]:
        """Return a uniform number `()` and, independent of it, `(K,)` uniform ones."""


class _Way(Struct, frozen=True, forbid_unknown_fields=True, tag=True):
    """A way to explore; `drawn` says whether chance is a part of it."""

    drawn: ClassVar[bool] = True


class Bonus(_Way, frozen=True):
    """By the estimate plus `alpha` widths; 0 is greedy."""

    drawn: ClassVar[bool] = False
    alpha: NotNegative = 0.0

    def weights(self, draws: Draws, round: float | jax.Array) -> Weights:
        """Return this round's weights."""
        del draws, round
        return Weights(width=self.alpha)


class VersionSpace(_Way, frozen=True):
    """By the estimate plus `sqrt(c log(1 + round))` widths."""

    drawn: ClassVar[bool] = False
    c: NotNegative

    def weights(self, draws: Draws, round: float | jax.Array) -> Weights:
        """Return this round's weights."""
        return Weights(width=draws.xp.sqrt(self.c * draws.xp.log1p(round)))


class Posterior(_Way, frozen=True):
    """By a draw from the posterior, `v` widths its standard deviation."""

    v: NotNegative

    def weights(self, draws: Draws, round: float | jax.Array) -> Weights:
        """Return this round's weights."""
        del round
        return Weights(width=self.v * draws.normal())


class Boltzmann(_Way, frozen=True):
    """With probability proportional to `exp(estimate / temperature)`, which falls as `round^-decay`."""

    temperature: Positive
    decay: NotNegative

    def weights(self, draws: Draws, round: float | jax.Array) -> Weights:
        """Return this round's weights."""
        return Weights(plus=self.temperature / round**self.decay * draws.gumbel())


class Coin(_Way, frozen=True):
    """By the estimate, or with chance `epsilon / (1 + decay round)` any available arm."""

    epsilon: Share
    decay: NotNegative

    def chance(self, round: float | jax.Array) -> Any:
        """Return the chance of any available arm."""
        return self.epsilon / (1.0 + self.decay * round)

    def weights(self, draws: Draws, round: float | jax.Array) -> Weights:
        """Return this round's weights."""
        coin, anything = draws.coin()
        explore = coin < self.chance(round)
        xp = draws.xp
        return Weights(mean=xp.where(explore, 0.0, 1.0), plus=xp.where(explore, anything, 0.0))


class Gaps(_Way, frozen=True):
    """With probability inverse to the gap to the best, at the rate `gamma round^exponent`."""

    gamma: Positive
    exponent: Share

    def rate(self, round: float | jax.Array) -> Any:
        """Return the learning rate."""
        return self.gamma * round**self.exponent

    def weights(self, draws: Draws, round: float | jax.Array) -> Weights:
        """Return this round's weights."""
        # The highest of log-probability plus Gumbel noise is a draw from the probabilities (Gumbel-max identity).
        return Weights(plus=draws.gumbel(), rate=self.rate(round))


Explore = Bonus | VersionSpace | Posterior | Boltzmann | Coin | Gaps
