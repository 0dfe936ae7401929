"""Streams of any length from the twin's own model: new queries, not the twin's 10,370 again.

The twin meets the published margins exactly, by ranking all queries of a dataset. A stream never holds all of them, so
here a model answers where its latent passes a threshold, and the margins are met in expectation: with the latent of
`copula.answers`, `z_k ~ N(0, v_k)`, the threshold is `sqrt(v_k)` times the normal quantile of `1 - accuracy`, and the
share of difficulty is the one at which the probability that any model answers is the published oracle.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs import parts
from envs.ahead import ahead
from envs.bare import special
from envs.contexts import projection
from envs.outcomes import Floats
from envs.twin import copula, published, twin
from envs.twin.published import probit
from envs.windows.big import KEY, WINDOW

if TYPE_CHECKING:
    import pyarrow as pa

_FITTED_ON = 1 << 14  # queries, of no stream, that the context's projection is fitted on
_NODES = (24, 10, 10)  # of the quadrature over difficulty and the two skills


class Model(NamedTuple):
    """The twin's model with everything drawn that belongs to the world and not to a query; `D` datasets, `K` models.

    Attributes:
        datasets, models: names.
        scenario: `(D,)` numbers from 0.
        proportion: `(D,)` share of queries of each dataset, as published, sum 1.
        lean: `(K, 2)` of `copula.loadings`.
        share: `(D,)` of the variance of a latent that is difficulty.
        threshold: `(D, K)` above which a latent is an answer.
        cost: `(K, D)` mean cost of a call.
        reveal: share of what embeddings show that is skill.
        along: of each modality, from `copula.directions`.
    """

    datasets: tuple[str, ...]
    models: tuple[str, ...]
    scenario: NDArray[Any]
    proportion: Floats
    lean: Floats
    share: Floats
    threshold: Floats
    cost: Floats
    reveal: float
    along: tuple[list[Floats], list[Floats]]


class Drawn(NamedTuple):
    """Some queries: `dataset` `(n,)` numbers, `utility` and `cost` `(n, K)`, embeddings `text` and `image`."""

    dataset: NDArray[Any]
    utility: Floats
    cost: Floats
    text: Floats
    image: Floats


def model(seed: int = 0) -> Model:
    """Return the twin's model; the seed draws the directions of its embeddings and nothing else."""
    figures, constants = published.figures(), published.solved()
    accuracy = published.accuracies(figures, constants.nano_share)
    lean = copula.loadings(accuracy, figures.scenario)
    found = [solve(a, lean, float(o)) for a, o in zip(accuracy.T, figures.oracle, strict=True)]
    scenario = np.unique(figures.scenario, return_inverse=True)[1]
    rng = np.random.default_rng([seed, 0])
    kinds = int(scenario.max()) + 1, len(scenario)
    return Model(
        datasets=figures.datasets,
        models=figures.models,
        scenario=scenario,
        proportion=figures.queries / figures.queries.sum(),
        lean=lean,
        share=np.array([share for share, _ in found]),
        threshold=np.stack([threshold for _, threshold in found]),
        cost=published.mean_costs(figures, accuracy),
        reveal=constants.reveal,
        along=(copula.directions(rng, *kinds), copula.directions(rng, *kinds)),
    )


def solve(accuracy: Floats, lean: Floats, oracle: float) -> tuple[float, Floats]:
    """Return the share of difficulty and the thresholds `(K,)` of one dataset.

    Given difficulty and skills the models answer independently, so the probability that none does is a product of
    normal distribution functions, integrated over the three by Gauss-Hermite quadrature.

    Args:
        accuracy: `(K,)` in (0, 1).
        lean: `(K, 2)`.
        oracle: probability that any model answers, to be met.
    """
    ndtr = special().ndtr
    nodes, weights = zip(*(np.polynomial.hermite_e.hermegauss(n) for n in _NODES), strict=True)
    grid = np.array(list(product(*nodes)))
    weight = np.array(list(product(*weights))).prod(axis=1) / (2 * np.pi) ** 1.5
    skilled = np.sqrt(copula.SKILL_SHARE) * grid[:, 1:] @ lean.T
    own = copula.SKILL_SHARE * (lean**2).sum(axis=1) + 1 - copula.SKILL_SHARE
    quantile = probit(1 - accuracy)

    def at(share: float) -> tuple[float, Floats]:
        threshold = quantile * np.sqrt((1 - share) * own + share)
        known = np.sqrt(1 - share) * skilled - np.sqrt(share) * grid[:, :1]
        silent = ndtr((threshold - known) / np.sqrt((1 - share) * (1 - copula.SKILL_SHARE)))
        return 1 - float(weight @ silent.prod(axis=1)), threshold

    low, high = 0.0, 1.0
    for _ in range(30):
        share = (low + high) / 2
        low, high = (share, high) if at(share)[0] > oracle else (low, share)
    return low, at(low)[1]


def draw(world: Model, rng: np.random.Generator, n: int) -> Drawn:
    """Return `n` queries, independent of each other, of datasets in the published proportion."""
    dataset = np.searchsorted(np.cumsum(world.proportion)[:-1], rng.random(n), side="right")
    latents = copula.draw(rng, n, len(world.models))
    share, hard = world.share[dataset][:, None], latents.difficulty[:, None]
    z = np.sqrt(1 - share) * copula.merit(latents, world.lean) - np.sqrt(share) * hard
    spread, part = copula.COST_SPREAD, copula.COST_HARDNESS
    log = spread * (np.sqrt(part) * hard + np.sqrt(1 - part) * latents.length)
    text, image = (
        copula.embed(rng, world.scenario[dataset], dataset, skill, world.reveal, along)
        for skill, along in zip(latents.skill.T, world.along, strict=True)
    )
    return Drawn(
        dataset,
        (z > world.threshold[dataset]).astype(np.float64),
        world.cost.T[dataset] * np.exp(log - spread**2 / 2),
        text,
        image,
    )


def make(
    path: str | Path,
    rounds: int,
    *,
    dim: int = 32,
    seed: int = 0,
    progress: Callable[[int], object] | None = None,
) -> None:
    """Write a stream from the twin's model as Parquet, a row group of `WINDOW` queries at a time, whole or not at all.

    Args:
        path: a name that ends in .parquet; the format stands in docs/streams.md.
        rounds: queries, >= 1.
        dim: `d`, length of the contexts, the constant 1 included; 2 to 129.
        seed: of everything that is drawn. A longer stream of the same seed begins with the shorter one.
        progress: called with the number of queries written so far.

    Raises:
        ValueError: an argument is out of range, or the file cannot be written.
    """
    from pyarrow import parquet

    path, most = Path(path), 2 * copula.FEATURES + 1
    if path.suffix.lower() != ".parquet":
        raise ValueError(f"make-stream needs --out FILE that ends in .parquet, got {path.name!r}")
    if rounds < 1 or seed < 0 or not 2 <= dim <= most:
        raise ValueError(
            f"make-stream needs rounds >= 1, seed >= 0 and 2 <= dim <= {most}, got {rounds}, {seed}, {dim}"
        )
    world = model(seed)
    schema = _schema(world, rounds, dim, seed)
    part = parts.of(path)
    try:
        with parquet.ParquetWriter(part, schema, use_dictionary=["dataset", "utility.list.element"]) as file:
            for table in ahead(_tables(world, schema, rounds, dim, seed)):
                file.write_table(table, row_group_size=WINDOW)
                if progress is not None:
                    progress(len(table))
        os.replace(part, path)
    except OSError as error:
        raise ValueError(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        part.unlink(missing_ok=True)


def _tables(world: Model, schema: pa.Schema, rounds: int, dim: int, seed: int) -> Iterator[Any]:
    """Yield the row groups; each has a generator of its own."""
    import pyarrow as pa

    sample = draw(world, np.random.default_rng([seed, 1]), _FITTED_ON)
    shown = {"text": sample.text, "image": sample.image}
    seen = projection.fitted(shown, fusion="concat", dim=dim - 1, whiten=False)
    for group, first in enumerate(range(0, rounds, WINDOW)):
        drawn = draw(world, np.random.default_rng([seed, 2, group]), WINDOW)
        context = projection.project_rows(seen, {"text": drawn.text, "image": drawn.image})
        n = min(WINDOW, rounds - first)
        matrices = {"utility": drawn.utility, "cost": drawn.cost, "context": context}
        columns = [pa.DictionaryArray.from_arrays(drawn.dataset[:n].astype(np.int32), list(world.datasets))]
        for name, matrix in matrices.items():
            values = pa.array(np.asarray(matrix[:n], np.float32).ravel())
            columns.append(pa.FixedSizeListArray.from_arrays(values, type=schema.field(name).type))
        yield pa.Table.from_arrays(columns, schema=schema)


def _schema(world: Model, rounds: int, dim: int, seed: int) -> Any:
    import pyarrow as pa

    price = copula.to_digits(world.cost @ world.proportion)
    about = {
        "models": world.models,
        "price": dict(zip(world.models, price.tolist(), strict=True)),
        "cost_unit": twin.COST_UNIT,
        "label": twin.LABEL,
        "source": f"make-stream --rounds {rounds} --dim {dim} --seed {seed}: the twin's model, see data/README.md",
        "licence": "",
        "notes": [
            "queries are drawn anew from the twin's model; its margins hold in expectation, not exactly",
            "assumed: gpt-5-nano's accuracy by dataset, Gemma3-4B's cost, all costs by dataset",
        ],
    }
    lists = (("utility", len(world.models)), ("cost", len(world.models)), ("context", dim))
    fields = [pa.field("dataset", pa.dictionary(pa.int32(), pa.string()), nullable=False)]
    for name, size in lists:
        item = pa.field("element", pa.float32(), nullable=False)
        fields.append(pa.field(name, pa.list_(item, size), nullable=False))
    return pa.schema(fields, metadata={KEY: json.dumps(about)})
