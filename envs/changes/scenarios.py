"""Ready-made worlds: plain data, a name for changes and feedback that are asked for together.

Models are roles (see `world.arm`), so that a scenario fits any table; `@value` is the model that a learner with the
default preference comes to rely on.

What a change is worth depends on the preference and on the queries. A price cut is worth something to recover only
where the preference makes cost count for more than the 5 % within which a policy is said to have recovered: on the twin
at the default 0.2 (the new phase's best model earns .745, the old one .620), on ParetoBandit's table from about 2 on
(at 0.2 its three good models are within 2 % of each other, cut or not). A regression is hard to recover from only where
a policy relied on the model that regresses: on one kind of traffic, not on a mixture in which no model has more than a
fifth of the calls. And plain evidence weighs by its amount: see `--rounds`.
"""

from __future__ import annotations

from typing import NamedTuple


class Scenario(NamedTuple):
    """Attributes: `what` happens, the `changes` as specs, and `delay` and `batch` of the feedback."""

    what: str
    changes: tuple[str, ...] = ()
    delay: str = "0"
    batch: int = 1


SCENARIOS: dict[str, Scenario] = {
    "stationary": Scenario("Nothing changes: the reference."),
    "price-cut": Scenario(
        "The model of the highest utility costs a hundredth from half of the run on, less than nearly all others.",
        ("price,model=@best,factor=0.01,at=0.5",),
    ),
    "silent-regression": Scenario(
        "The model of the best value loses 40 points of utility at half of the run, and no notice is given.",
        ("quality,model=@value,change=-0.4,at=0.5",),
    ),
    "outage": Scenario(
        "The model of the best value is down from 40 % to 60 % of the run.",
        ("outage,model=@value,start=0.4,end=0.6",),
    ),
    "new-model": Scenario(
        "The model of the best value joins at 30 % of the run.",
        ("arrive,model=@value,at=0.3",),
    ),
    "merged-model": Scenario(
        "A synthetic merge of the two models of the highest utility, at a fiftieth of the price, joins at 30 %.",
        ("arrive,merge=@best+@second,between=0.8,at=0.3,model=merged", "price,model=merged,factor=0.02,at=0"),
    ),
    "traffic-shift": Scenario(
        "The first half of the run is mostly one kind of query, the second another (largest groups of the table).",
        ("mix,phases=@first:0.8+@next:0.2/@first:0.2+@next:0.8",),
    ),
    "blind": Scenario(
        "The image (or the text, where the table has no image) is missing from half of the run on.",
        ("mask,what=@seen,at=0.5",),
    ),
    "noisy-judge": Scenario(
        "Utility is heard with an error of standard deviation 0.3; regret is counted on the truth.",
        ("noise,sd=0.3",),
    ),
    "late-feedback": Scenario(
        "Feedback comes late by a geometric number of rounds, 200 in the mean, and a tenth of it never.",
        delay="geometric,mean=200,never=0.1",
    ),
    "everything": Scenario(
        "A traffic shift, a price cut, a silent regression, an outage, a noisy judge and late feedback together.",
        (
            "mix,phases=@first:0.8+@next:0.2/@first:0.2+@next:0.8",
            "price,model=@best,factor=0.01,at=0.3",
            "quality,model=@value,change=-0.2,at=0.6",
            "outage,model=@second,start=0.7,end=0.8",
            "noise,sd=0.3",
        ),
        delay="geometric,mean=50",
    ),
}
