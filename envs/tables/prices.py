"""Price files: cost of each call from posted prices, for tables that record tokens or nothing but calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from envs.nearest import near
from envs.outcomes import Floats, Outcomes
from envs.tables import aliases, columns, files
from envs.tables.sheet import cut, shown

_MODEL = ("model", "model_name", "name", "model_id", "id")
_CALL = ("per_call", "price_per_call", "cost_per_call", "call")
_STEMS = {
    "input": ("input", "in", "price_in", "input_price", "prompt", "prompt_price", "input_cost", "price_input"),
    "output": (
        "output", "out", "price_out", "output_price", "completion", "completion_price", "output_cost", "price_output"
    ),
    "cached": (
        "cached", "cached_input", "cache_read", "cached_price", "input_cached", "cached_input_price", "cached_in",
        "cache_read_input", "price_cached", "cached_input_cost",
    ),
}  # fmt: skip
_PER = {"token": 1e6, "1k": 1e3, "1m": 1.0}  # tokens that a price is for -> what makes it a price a million
_ENDINGS = {
    "token": ("per_token", "cost_per_token", "price_per_token", "per_token_cost", "token_cost"),
    "1k": ("per_1k", "per_1k_tokens", "per_thousand", "per_thousand_tokens", "1k"),
    "1m": ("per_1m", "per_1m_tokens", "per_million", "per_million_tokens", "per_mtok", "1m", "mtok"),
}
_LEAST = 1e-3  # USD a million tokens, of the dearest price; below, it is a price for something else
_FREE = 1e-9  # a call that costs more than nothing and less than this


class Prices(NamedTuple):
    """Posted prices by model name, each `(n,)`, NaN where none is posted.

    Attributes:
        models: `n` names.
        input, output, cached: per 1,000,000 tokens; `cached` is for input that the provider had kept.
        call: a call.
    """

    models: list[str]
    input: Floats
    output: Floats
    cached: Floats
    call: Floats


def read_prices(path: str | Path, *, per: str | None = None) -> Prices:
    """Return the prices of a table with the columns `model`, `input_per_1m`, `output_per_1m`, `per_call`.

    The column's name tells what a price is for: `_per_token`, `_per_1k`, `_per_1m`, a call. An empty cell means
    that nothing is posted, and of the price columns one of output or call is enough.

    Args:
        path: the file, of any kind that tables have.
        per: `token`, `1k` or `1M`, for names that do not tell.

    Raises:
        ValueError: one line that names the file and the row or column, or what the prices are for.
    """
    path = Path(path)
    if per is not None and per.lower() not in _PER:
        raise ValueError(f"--prices-per needs token, 1k or 1M, got {per!r}")
    sheet = files.opened(path)
    model, call = aliases.pick(sheet.names, _MODEL), aliases.pick(sheet.names, _CALL)
    posted = {field: _column(sheet.names, field) for field in _STEMS}
    if not model or not (posted["output"][0] or call):
        raise ValueError(
            f"{path}: a price file needs the columns model and output_per_1m or per_call (input_per_1m is"
            f" optional), found {shown(sheet.names)}"
        )
    named = [name for name, _ in posted.values() if name] + [call] * bool(call)
    table = sheet.table([model, *named], numbers=named)
    models = columns.texts(path, table, model).tolist()
    repeated = [m for i, m in enumerate(models) if m in models[:i]]
    if repeated:
        raise ValueError(f"{path}: model {cut(repeated[0])!r} appears twice; each model needs one row")
    found = {
        f: columns.numbers(path, table, n) if n else np.full(len(models), np.nan)
        for f, (n, _) in posted.items()
    }
    found = _million(path, found, posted, per)
    return Prices(
        models, **found, call=columns.numbers(path, table, call) if call else np.full(len(models), np.nan)
    )


def _column(names: Sequence[str], field: str) -> tuple[str, str]:
    """Return the column of a price and what its name says it is for, "" where it does not."""
    spelt = {aliases.snake(name): name for name in reversed(list(names))}
    for stem in _STEMS[field]:
        for per, endings in _ENDINGS.items():
            for ending in endings:
                if f"{stem}_{ending}" in spelt:
                    return spelt[f"{stem}_{ending}"], per
    plain = next((spelt[stem] for stem in _STEMS[field] if stem in spelt), "")
    return plain, ""


def _million(
    path: Path, found: dict[str, Floats], posted: dict[str, tuple[str, str]], per: str | None
) -> dict[str, Floats]:
    """Return prices a million tokens.

    Raises:
        ValueError: a name does not say what its price is for and no option does; all prices are too low to be that.
    """
    for field, (name, told) in posted.items():
        if not name:
            continue
        unit = told or (per or "").lower()
        if not unit:
            raise ValueError(
                f"{path}: column {name!r} needs to say what the price is for: call it {field}_per_token, {field}_per_1k"
                f" or {field}_per_1m, or give --prices-per token, 1k or 1M"
            )
        found[field] = found[field] * _PER[unit]
    known = np.concatenate(list(found.values()))
    paid = known[known > 0]
    if len(paid) and paid.max() < _LEAST:
        raise ValueError(
            f"{path}: every price is below {_LEAST:g} per million tokens (the dearest is {paid.max():g});"
            " prices a token need columns called input_per_token and output_per_token, or --prices-per token"
        )
    return found


def apply_prices(
    outcomes: Outcomes,
    path: str | Path,
    *,
    input_tokens: Floats | None = None,
    cached_tokens: Floats | None = None,
    per: str | None = None,
    unit: str | None = None,
) -> Outcomes:
    """Return the table with costs derived from a price file, and labelled so; costs of its own are replaced.

    A call costs `per_call` plus `output_per_1m x output tokens / 1e6` plus `input_per_1m x input tokens /
    1e6`, each where posted; of the input tokens the cached ones have their own price, where that is posted. The
    posted price of a model is the mean of that over its recorded outcomes: exact for a price a call, an estimate
    for a price a token.

    Args:
        outcomes: the table; an outcome without the tokens that its price needs becomes missing, with a note.
        path, per: see `read_prices`.
        input_tokens: `(T, K)`, or None where not recorded; their price is then left out, with a note.
        cached_tokens: `(T, K)` those of them that were cached, or None.
        unit: the currency of the prices; None: USD.

    Raises:
        ValueError: a model is missing in the file, or has a price a token and the table has no tokens of it; a call
            would cost less than 1e-9 and more than nothing.
    """
    prices = read_prices(path, per=per)
    cost, unused = _costs(outcomes, prices, Path(path), input_tokens, cached_tokens)
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
            f"{path}: query {cut(query)!r} has no outcome whose tokens are known, so none has a cost"
        )
    mean = np.where(seen, cost, 0.0).sum(axis=0) / np.maximum(seen.sum(axis=0), 1)
    _refuse_dust(Path(path), outcomes.models, mean)
    return replace(
        outcomes,
        utility=utility,
        cost=cost,
        price=mean,
        cost_unit=f"{unit or 'USD'}/query",
        label=f"{outcomes.label}, derived cost",
        notes=(*outcomes.notes, *notes),
    )


def _refuse_dust(path: Path, models: Sequence[str], mean: Floats) -> None:
    dust = np.flatnonzero((mean > 0) & (mean < _FREE))
    if len(dust):
        raise ValueError(
            f"{path}: a call of model {cut(models[dust[0]])!r} would cost {mean[dust[0]]:.3g}, less than {_FREE:g}; are"
            " these prices a token? Call the columns input_per_token and output_per_token, or give --prices-per token"
        )


def _costs(
    outcomes: Outcomes, prices: Prices, path: Path, input_tokens: Floats | None, cached_tokens: Floats | None
) -> tuple[Floats, bool]:
    """Return the `(T, K)` cost of a call, NaN where tokens are missing, and whether an input price is unused."""
    cost = np.zeros(outcomes.utility.shape)
    unused = False
    for k, model in enumerate(outcomes.models):
        if model not in prices.models:
            raise ValueError(f"{path}: no price for model {cut(model)!r}; {near(model, prices.models)}")
        row = prices.models.index(model)
        a_call, a_token, an_input = prices.call[row], prices.output[row], prices.input[row]
        if np.isnan(a_call) and np.isnan(a_token):
            raise ValueError(
                f"{path}: row {row + 1}, model {cut(model)!r} needs output_per_1m or per_call, found neither"
            )
        if not np.isnan(a_call):
            cost[:, k] += a_call
        if not np.isnan(a_token):
            if outcomes.tokens is None or np.isnan(outcomes.tokens[:, k]).all():
                raise ValueError(
                    f"{path}: model {cut(model)!r} has a price a token and no tokens recorded; it needs per_call"
                )
            cost[:, k] += a_token * outcomes.tokens[:, k] / 1e6
        if an_input > 0 and input_tokens is not None and not np.isnan(input_tokens[:, k]).all():
            kept = None if cached_tokens is None else cached_tokens[:, k]
            cost[:, k] += _input_cost(an_input, prices.cached[row], input_tokens[:, k], kept) / 1e6
        else:
            unused |= bool(an_input > 0)
    return cost, unused


def _input_cost(price: float, cached: float, tokens: Floats, kept: Floats | None) -> Floats:
    """Return the cost of input tokens, those that the provider had kept at their own price where one is posted."""
    if kept is None or np.isnan(cached):
        return price * tokens
    some = np.minimum(np.nan_to_num(kept), tokens)
    return np.asarray(price * (tokens - some) + cached * some, np.float64)
