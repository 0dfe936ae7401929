"""Price files: cost of each call from posted prices, for tables that record tokens or nothing but calls."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from envs.nearest import near
from envs.outcomes import Floats, Outcomes
from envs.tables import columns, files, recognise

_MODEL = ("model", "model_name", "name")
_COLUMNS = {
    "input": ("input_per_1m", "input_per_million", "input_price", "price_in", "input", "in"),
    "output": ("output_per_1m", "output_per_million", "output_price", "price_out", "output", "out"),
    "call": ("per_call", "price_per_call", "cost_per_call", "call"),
}


class Prices(NamedTuple):
    """Posted prices by model name, each `(n,)` USD, NaN where none is posted.

    Attributes:
        models: `n` names.
        input, output: USD per 1,000,000 tokens.
        call: USD a call.
    """

    models: list[str]
    input: Floats
    output: Floats
    call: Floats


def read_prices(path: str | Path) -> Prices:
    """Return the prices of a table with the columns `model`, `input_per_1m`, `output_per_1m` and `per_call`.

    Prices are USD, per 1,000,000 tokens or a call; an empty cell means that nothing is posted, and of the
    price columns `output_per_1m` or `per_call` is enough. Also understood: `price_in`, `input`, `in`,
    `price_out`, `output`, `out`, `price_per_call`, `cost_per_call`, `call`.

    Raises:
        ValueError: one line that names the file and the row or column.
    """
    path = Path(path)

    def keep(names: Any) -> list[str]:
        model = recognise.pick(names, _MODEL)
        posted = {field: recognise.pick(names, aliases) for field, aliases in _COLUMNS.items()}
        if not model or not (posted["output"] or posted["call"]):
            raise ValueError(
                f"{path}: a price file needs the columns model and output_per_1m or per_call (input_per_1m is"
                f" optional), found {recognise.shown(names)}"
            )
        return [model, *(column for column in posted.values() if column)]

    table = files.load(path, keep)
    models = columns.texts(table, recognise.pick(table.column_names, _MODEL)).tolist()
    repeated = [m for i, m in enumerate(models) if m in models[:i]]
    if repeated:
        raise ValueError(f"{path}: model {repeated[0]!r} appears twice; each model needs one row")
    posted = {}
    for field, aliases in _COLUMNS.items():
        name = recognise.pick(table.column_names, aliases)
        posted[field] = columns.numbers(path, table, name) if name else np.full(len(models), np.nan)
    return Prices(models, **posted)


def apply_prices(outcomes: Outcomes, path: str | Path, *, input_tokens: Floats | None = None) -> Outcomes:
    """Return the table with costs derived from a price file, and labelled so; costs of its own are replaced.

    A call costs `per_call` plus `output_per_1m x output tokens / 1e6` plus `input_per_1m x input tokens /
    1e6`, each where posted. The posted price of a model is the mean of that over its recorded outcomes: exact
    for a price a call, an estimate for a price a token.

    Args:
        outcomes: the table; an outcome without the tokens that its price needs becomes missing, with a note.
        path: see `read_prices`.
        input_tokens: `(T, K)`, or None where not recorded; their price is then left out, with a note.

    Raises:
        ValueError: a model is missing in the file, or has a price a token and the table has no tokens of it.
    """
    prices = read_prices(path)
    cost, unused = _costs(outcomes, prices, Path(path), input_tokens)
    lost = outcomes.available & np.isnan(cost)
    utility = np.where(lost, np.nan, outcomes.utility)
    notes = [
        f"cost derived from {Path(path).name}"
        + (", the table's own costs replaced" if outcomes.priced else "")
    ]
    if unused:
        notes.append("the price of input tokens is left out: the table does not record them")
    if lost.any():
        notes.append(f"left out {int(lost.sum())} outcomes without the tokens that their price needs")
    seen = ~np.isnan(utility)
    if not seen.any(axis=1).all():
        query = outcomes.query_id[~seen.any(axis=1)][0]
        raise ValueError(
            f"{path}: query {str(query)!r} has no outcome whose tokens are known, so none has a cost"
        )
    mean = np.where(seen, cost, 0.0).sum(axis=0) / np.maximum(seen.sum(axis=0), 1)
    return replace(
        outcomes,
        utility=utility,
        cost=cost,
        price=mean,
        cost_unit="USD/query",
        label=f"{outcomes.label}, derived cost",
        notes=(*outcomes.notes, *notes),
    )


def _costs(
    outcomes: Outcomes, prices: Prices, path: Path, input_tokens: Floats | None
) -> tuple[Floats, bool]:
    """Return `(T, K)` USD a call, NaN where tokens are missing, and whether an input price is unused."""
    cost = np.zeros(outcomes.utility.shape)
    unused = False
    for k, model in enumerate(outcomes.models):
        if model not in prices.models:
            raise ValueError(f"{path}: no price for model {model!r}; {near(model, prices.models)}")
        row = prices.models.index(model)
        a_call, a_token, an_input = prices.call[row], prices.output[row], prices.input[row]
        if np.isnan(a_call) and np.isnan(a_token):
            raise ValueError(
                f"{path}: row {row + 1}, model {model!r} needs output_per_1m or per_call, found neither"
            )
        if not np.isnan(a_call):
            cost[:, k] += a_call
        if not np.isnan(a_token):
            if outcomes.tokens is None or np.isnan(outcomes.tokens[:, k]).all():
                raise ValueError(
                    f"{path}: model {model!r} has a price a token and no tokens recorded; it needs per_call"
                )
            cost[:, k] += a_token * outcomes.tokens[:, k] / 1e6
        if an_input > 0 and input_tokens is not None and not np.isnan(input_tokens[:, k]).all():
            cost[:, k] += an_input * input_tokens[:, k] / 1e6
        else:
            unused |= bool(an_input > 0)
    return cost, unused
