"""Does any damaged table end in something else than one line that names the file? A seeded generator tries.

`ROUTEBANDIT_FUZZ=N` tries N tables instead of 400.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import random
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from envs.tables import files, formats
from envs.tables.log import read_log
from tests.workbooks import workbook

CASES = int(os.environ.get("ROUTEBANDIT_FUZZ", "400"))
CELLS = (
    "", "0", "1", "0.5", "nan", "inf", "-inf", "1e999", "-1", "2", "1_0", "0x1", "\u0661", "9" * 5000, "true", "None",
    " 1 ", "1,5", "\u00e9", "\x00", '"', "[1, 2]", "{}", "1e-320", "\ufeff1",
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, -1, 2, 10**30, 1e308, float("nan"), float("inf"), "x", "\ud800", [], [1], [[1]], ["a", 1], {}, {"a": 1},
    [None], "9" * 5000, [10**400], b"\xff", {"reward": 1}, [{"model": "m"}], 0.5, [1.0, 2.0], [[1.0], 2], "1_0",
)  # fmt: skip
NAMES = (
    "text_0", "text_00", "text", "image", "a_correct", "_correct", "dataset", "query_id", "scenario", "_about", "model",
    "x" * 5000,
    "arms", "scores", "a.score", "a|total_cost", "winner", "model_a", "index", "hit", "stats", "",
    "propensity",
)  # fmt: skip


def table(rng: random.Random) -> list[dict[str, Any]]:
    """Make a small table of one of the layouts, whole."""
    n = rng.randrange(1, 6)
    rows: list[dict[str, Any]] = []
    layout = rng.choice(
        ["wide", "long", "arms", "struct", "scores", "vlm", "lmeval", "mix", "helm", "battle", "log", "bench"]
    )
    for i in range(n):
        row: dict[str, Any] = {"query_id": f"q{i}", "question": f"what is {i}"}
        if layout == "wide":
            row |= {"a_correct": 1, "a_cost": 0.1, "b_correct": 0, "b_cost": 0.2, "text_0": 1.0, "text_1": i}
        elif layout == "long":
            rows += [row | {"model": m, "score": 0.5, "cost_usd": 0.1} for m in "ab"]
            continue
        elif layout == "arms":
            row["arms"] = {m: {"reward": 0.5, "cost": 0.1} for m in "ab"}
        elif layout == "struct":
            row |= {m: {"score": 1.0, "num_output_tokens": 3} for m in ("m1", "m2")}
        elif layout == "scores":
            row["scores"] = {"m1": 0.1, "m2": 0.9}
        elif layout == "vlm":
            row = {"index": i, "question": "q", "answer": "A", "hit": 1}
        elif layout == "lmeval":
            row = {"doc_id": i, "target": "A", "resps": [["A"]], "metrics": ["acc"], "acc": 1.0}
        elif layout == "mix":
            row["candidates"] = [{"model": m, "scores": {"bleu": 0.5}} for m in "ab"]
        elif layout == "helm":
            row = {"instance_id": f"id{i}", "stats": [{"name": {"name": "exact_match"}, "mean": 1.0}]}
        elif layout == "battle":
            row |= {"model_a": "a", "model_b": "b", "winner": "tie"}
        elif layout == "log":
            row |= {"model": "ab"[i % 2], "score": 1, "propensity": 0.5, "candidates": '["a", "b"]'}
        else:
            row = {"global index": f"X_{i}", "prediction": "a", "accuracy": 1.0, "cost": 0.1}
        rows.append(row)
    return rows


def spoilt(rng: random.Random, rows: list[dict[str, Any]], values: tuple[Any, ...]) -> list[dict[str, Any]]:
    """Put strange values under known and strange names, some of them inside what is nested."""
    for _ in range(rng.randrange(4)):
        row = rng.choice(rows)
        name = rng.choice([*row, *NAMES]) if row else rng.choice(NAMES)
        held = row.get(name)
        if isinstance(held, dict) and held and rng.random() < 0.7:
            row[name] = {**held, rng.choice(list(held)): rng.choice(values)}
        elif rng.random() < 0.2:
            row.pop(name, None)
        else:
            for other in rows if rng.random() < 0.5 else [row]:
                other[name] = rng.choice(values)
    return rows


def delimited(rng: random.Random) -> bytes:
    rows = [
        {k: v for k, v in row.items() if not isinstance(v, (dict, list))}
        for row in spoilt(rng, table(rng), CELLS)
    ]
    names = list(dict.fromkeys(k for row in rows for k in row))
    mark = rng.choice([",", ",", "\t", ";"])
    lines = [mark.join(names)] + [mark.join(str(row.get(n, "")) for n in names) for row in rows]
    if rng.random() < 0.3:
        lines.insert(rng.randrange(len(lines) + 1), rng.choice(["", "x", mark * 9, '"', "\x00", "\r"]))
    text = rng.choice(["\n", "\r\n", "\r"]).join(lines)
    return rng.choice([b"", b"", b"\xef\xbb\xbf", b"\xff\xfe"]) + text.encode(
        rng.choice(["utf-8"] * 4 + ["utf-16"])
    )


def as_json(rng: random.Random, lines: bool) -> bytes:
    values = tuple(v for v in VALUES if not isinstance(v, bytes))
    rows = spoilt(rng, table(rng), values)
    texts = [json.dumps(row) for row in rows]
    if rng.random() < 0.2:
        texts.insert(
            rng.randrange(len(texts) + 1), rng.choice(["[1]", "nul", "{", '{"a":1,"a":2}', "7", "[" * 5000])
        )
    if lines:
        return "\n".join(texts).encode()
    body = "[" + ",".join(texts) + "]"
    head = rng.choice(
        [
            '{"records": %s}',
            '{"model_name": "a", "dataset_name": [1], "records": %s}',
            "%s",
            '{"results": {"results": %s}}',
        ]
    )
    return (head % body).encode()


def parquet(rng: random.Random) -> bytes:
    rows = spoilt(rng, table(rng), VALUES)
    names = list(dict.fromkeys(k for row in rows for k in row))
    columns = {}
    for name in names:
        values = [row.get(name) for row in rows]
        try:
            columns[name] = pa.array(values)
        except (pa.ArrowException, TypeError, UnicodeError, OverflowError):
            columns[name] = pa.array(
                [None] * len(rows), rng.choice([pa.null(), pa.string_view(), pa.binary(), pa.date32()])
            )
    about = rng.choice(["", "{", "[]", '{"price": null}', '{"notes": 1}', '{"price": {"a": "x"}}', "\ud800"])
    made = pa.table(columns)
    made = (
        made.replace_schema_metadata({b"routebandit": about.encode("utf-8", "surrogatepass")})
        if about
        else made
    )
    sink = io.BytesIO()
    try:
        pq.write_table(made, sink)
    except pa.ArrowNotImplementedError:  # a structure without fields
        return b"PAR1"
    return sink.getvalue()


def excel(rng: random.Random) -> bytes:
    if rng.random() < 0.7:
        rows = spoilt(rng, table(rng), CELLS)
        names = list(dict.fromkeys(k for row in rows for k in row))
        return workbook([names, *([str(row.get(n, ""))[:99] for n in names] for row in rows)])
    with zipfile.ZipFile(sink := io.BytesIO(), "w") as packed:
        for name in rng.sample(
            ["[Content_Types].xml", "xl/workbook.xml", "xl/worksheets/sheet1.xml", "x"], 3
        ):
            packed.writestr(name, rng.choice(["", "<a>", "<workbook/>", "\x00" * 40]))
    return sink.getvalue()


def arrays(rng: random.Random, rows: int) -> bytes:
    matrix = rng.choice([
        np.ones((rows, 2)), np.ones((rows, 0)), np.ones(rows), np.full((rows, 2), 1e300), np.ones((rows, 2), complex),
        np.full((rows, 2), np.nan), np.array([["a", "b"]] * rows), np.ones((rows + 1, 2)), np.ones((rows, 2), "M8[s]"),
        np.ones((rows, 2), bool),
    ])  # fmt: skip
    sink = io.BytesIO()
    if rng.random() < 0.2:
        np.save(sink, matrix)
    else:
        np.savez(sink, **{rng.choice(["text", "image", "other"]): matrix})
    return sink.getvalue()


def damaged(rng: random.Random, data: bytes) -> bytes:
    """Cut, flip or repeat some bytes, or leave them."""
    kind = rng.randrange(5)
    if kind == 0 or not data:
        return data[: rng.randrange(len(data) + 1)]
    if kind == 1:
        spoilt_bytes = bytearray(data)
        for _ in range(rng.randrange(1, 8)):
            spoilt_bytes[rng.randrange(len(data))] = rng.randrange(256)
        return bytes(spoilt_bytes)
    if kind == 2:
        at = rng.randrange(len(data))
        return data[:at] + data[at : at + 20] * 3 + data[at:]
    return data


def made(rng: random.Random, folder: Path) -> Path:
    """Write one damaged table, perhaps packed or with embeddings beside it."""
    kind = rng.choice(["csv", "csv", "tsv", "jsonl", "jsonl", "json", "parquet", "parquet", "xlsx"])
    makers = {
        "csv": delimited, "tsv": delimited, "parquet": parquet, "xlsx": excel,
        "jsonl": lambda r: as_json(r, True), "json": lambda r: as_json(r, False),
    }  # fmt: skip
    data = makers[kind](rng)
    data = damaged(rng, data) if rng.random() < 0.6 else data
    name = rng.choice(["t", "m_MMStar", "samples_mmlu_2026"])
    if kind in ("csv", "tsv", "jsonl", "json") and rng.random() < 0.2:
        data, kind = damaged(rng, gzip.compress(data)), f"{kind}.gz"
    path = folder / f"{name}.{kind}"
    path.write_bytes(data)
    if rng.random() < 0.2:
        (folder / f"{name}.embeddings.npz").write_bytes(damaged(rng, arrays(rng, rng.randrange(1, 6))))
    return path


def test_damaged_tables_end_in_one_line_that_names_the_file(tmp_path: Path) -> None:
    good = 0
    for case in range(CASES):
        rng = random.Random(case)
        folder = tmp_path / str(case)
        folder.mkdir()
        path = made(rng, folder)
        how: dict[str, Any] = rng.choice(
            [
                {},
                {},
                {"clip": True},
                {"missing": "wrong"},
                {"drop_empty": True},
                {"duels": True},
                {"scale": "0,2"},
            ]
        )
        for read in (lambda p: formats.read(p, **how), read_log):  # noqa: B023  # called at once
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("error")
                    read(path)
                good += 1
            except ValueError as error:
                message = str(error)
                assert "\n" not in message and len(message) < 1500, (case, message)
                assert path.name in message or f"{path.name.partition('.')[0]}.embeddings.npz" in message, (
                    case,
                    message,
                )
            except Exception as error:
                raise AssertionError(f"case {case}, {path.name}: {type(error).__name__}: {error}") from error
    assert 0 < good < 2 * CASES  # the generator makes tables that are read, and tables that are not


def test_a_gzip_bomb_is_refused_before_it_fills_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_FLOOR", 1 << 20)
    (tmp_path / "bomb.csv.gz").write_bytes(gzip.compress(b"a_correct,b_correct\n" + b"1,0\n" * 2_000_000))
    with pytest.raises(ValueError, match=r"bomb\.csv\.gz: unpacks to more than 1 MiB"):
        formats.read(tmp_path / "bomb.csv.gz")
    with zipfile.ZipFile(tmp_path / "bomb.xlsx", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("xl/worksheets/sheet1.xml", b" " * 8_000_000)
    with pytest.raises(ValueError, match=r"bomb\.xlsx: unpacks to 7 MiB"):
        formats.read(tmp_path / "bomb.xlsx")


def test_every_shared_damaged_table_is_refused_by_name(shared: Path) -> None:
    for path in sorted((shared / "cases" / "damaged").iterdir()):
        if path.name.endswith(".embeddings.npz"):
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with pytest.raises(ValueError, match=path.name.partition(".")[0]) as caught:
                formats.read(path)
        assert "\n" not in str(caught.value)
