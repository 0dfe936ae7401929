"""Which models are called: shares over time, and the table of dataset and model that is shaded as a heat map."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bandits.report import words
from bandits.report.styles import MATTER, OTHER_MODELS, Figure, Row, model_colours, ranked, tidy
from bandits.results.by_dataset import CALLS
from bandits.results.curves import AT

if TYPE_CHECKING:
    import pandas as pd

ALL = "all datasets"
_SHOWN = 12  # datasets with a row or a view of their own; the table and the CSV file have them all
_MODELS = 10  # models with a column of their own
_POINTS = 60  # of a stack, enough for its shape


def shares(
    rows: Sequence[Row], curves: pd.DataFrame
) -> tuple[list[Figure], dict[str, str], list[dict[str, float]]]:
    """Return a stacked area chart for each policy, the colour of each model, and each policy's last shares.

    Each chart has a view of all queries and one of each of the first dozen datasets; only policies that matter have
    one. The models called most, over these, have a grey of their own; the others are drawn together.
    """
    names = ranked(rows)[:MATTER]
    parts = dict(iter(curves[curves["policy"].isin(names)].groupby("policy", sort=False)))
    whole = {name: _wide(parts.get(name, curves[:0]), "share:") for name in names}
    totals: dict[str, float] = {}
    for wide in whole.values():
        for model in wide.columns:
            totals[model] = totals.get(model, 0.0) + float(wide[model].sum())
    colours, figures = model_colours(totals), []
    for i, (name, wide) in enumerate(whole.items()):
        tables = {ALL: wide} | {
            d: _wide(parts[name], f"{AT}{d}:")
            for d in _datasets(parts.get(name, curves[:0]), list(wide.columns))
        }
        views = [{"label": html.escape(d), "data": _areas(table, colours)} for d, table in tables.items()]
        axes = {"x": "round", "y": "share of calls", "whole": True, "suffix": " %"}
        known = {"id": f"shares-{i}", "name": f"shares-{name}", "group": "shares", "ends": True}
        figures.append({**known, "views": views, "axes": axes, "height": 300})
    last = [{str(m): float(share) for m, share in wide.iloc[-1].items()} for wide in whole.values()]
    return figures, colours, last


def _wide(curves: pd.DataFrame, prefix: str) -> pd.DataFrame:
    """Return shares from a policy's curves, a row a round and a column a model."""
    chosen = curves[curves["quantity"].str.startswith(prefix)]
    wide = chosen.pivot(index="round", columns="quantity", values="mean")
    wide = wide.rename(columns=lambda quantity: quantity.removeprefix(prefix)).dropna(how="all")
    return wide.iloc[np.unique(np.linspace(0, len(wide) - 1, min(len(wide), _POINTS)).round().astype(int))]


def _datasets(curves: pd.DataFrame, models: Sequence[str]) -> list[str]:
    """Return the datasets that a policy's curves know, the first dozen."""
    own, suffix = curves["quantity"].drop_duplicates(), f":{models[0]}"
    found = [q.removeprefix(AT).removesuffix(suffix) for q in own if q.startswith(AT) and q.endswith(suffix)]
    return found[:_SHOWN]


def _areas(wide: pd.DataFrame, colours: Mapping[str, str]) -> list[Figure]:
    return [_area(m, wide.index, share, colours[m]) for m, share in _grouped(wide, colours).items()]


def _grouped(by_model: pd.DataFrame, colours: Mapping[str, str]) -> dict[str, Any]:
    """Return the shares of each model that has a colour, the others added up."""
    named = [model for model in colours if model != OTHER_MODELS and model in by_model]
    found = {model: by_model[model] for model in named}
    if OTHER_MODELS in colours:
        found[OTHER_MODELS] = by_model.drop(columns=named).sum(axis=1)
    return found


def _area(model: str, rounds: Any, share: Any, colour: str) -> Figure:
    shown = html.escape(model)
    return {
        "x": rounds.tolist(),
        "y": tidy(100 * share),
        "name": shown,
        "mode": "lines",
        "stackgroup": "calls",
        "fillcolor": colour,
        "line": {"width": 0.5, "color": colour},
        "hovertemplate": f"{shown}: %{{y:.0f}} % at round %{{x:,}}<extra></extra>",
    }


def called(frame: pd.DataFrame) -> dict[str, float]:
    """Return each model's share of the calls of all policies together, from the rows of `by_dataset`."""
    columns = [c for c in frame.columns if c.startswith(CALLS)]
    total = frame.loc[frame["kind"] == "policy", columns].sum()
    whole = max(float(total.sum()), 1.0)
    return {str(name).removeprefix(CALLS): float(count) / whole for name, count in total.items()}


def routed(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the share of each model in the rounds of a player in a dataset, the datasets asked most first.

    Rows have the index (policy, dataset), columns are models; the uniform reference and single models, for which no
    calls are kept, are left out. Beyond a dozen datasets the smaller ones are one row together, and beyond ten models
    those called least are one column.
    """
    columns = [c for c in frame.columns if c.startswith(CALLS)]
    calling = frame[frame["kind"].isin(("policy", "reference")) & frame[columns].notna().all(axis=1)]
    size = calling.groupby("dataset")["rounds"].sum().sort_values(ascending=False, kind="stable")
    names = list(size.index)
    if len(names) > _SHOWN:
        other = f"{len(names) - _SHOWN + 1}{words.OTHER_DATASETS}"
        names = [*names[: _SHOWN - 1], other]
        calling = calling.assign(dataset=calling["dataset"].where(calling["dataset"].isin(names), other))
    total = calling.groupby(["policy", "dataset"], sort=False)[["rounds", *columns]].sum()
    found = total[columns].div(total["rounds"], axis=0).rename(columns=lambda c: c.removeprefix(CALLS))
    players = list(dict.fromkeys(calling["policy"]))
    return _columns(found).reindex([(player, name) for player in players for name in names])


def _columns(share: pd.DataFrame) -> pd.DataFrame:
    """Return the shares of the models called most, the others added up in one column."""
    if len(share.columns) <= _MODELS + 1:
        return share
    most = share.sum().sort_values(ascending=False, kind="stable").index
    kept = [c for c in share.columns if c in most[:_MODELS]]
    rest = share.drop(columns=kept)
    return share[kept].assign(**{f"{len(rest.columns)}{words.OTHERS}": rest.sum(axis=1)})


def heat(share: pd.DataFrame) -> Figure:
    """Return the shares by dataset and model, a view for each player; the page makes a table of them."""
    views = []
    for name, part in share.groupby(level="policy", sort=False):
        table = part.droplevel("policy")
        data = {
            "type": "heatmap",
            "x": [html.escape(model) for model in table.columns],
            "y": [html.escape(dataset) for dataset in table.index],
            "z": [tidy(line) for line in table.to_numpy()],
            "name": html.escape(str(name)),
            "hovertemplate": "%{y}<br>%{x}: %{z:.1%} of calls<extra></extra>",
        }
        views.append({"label": html.escape(str(name)), "data": [data]})
    datasets = share.index.get_level_values("dataset").nunique()
    axes = {"x": "", "y": "", "heat": True}
    return {"id": "heat", "views": views, "axes": axes, "height": 40 + 30 * datasets}
