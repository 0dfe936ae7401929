"""A wide table, one row a query: `<model>_correct`, `_score` or `_utility`; MMR-Bench, AutoMix and our own are such."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from envs.tables import aliases, answers
from envs.tables.aliases import Column, field_column
from envs.tables.answers import Answers
from envs.tables.how import How
from envs.tables.sheet import Sheet, cut

NAME, NEEDS = "a wide table", "<model>_correct, <model>_score or <model>_utility"
# Words that measure a question or an answer and name no model; a stem made of such words only is none.
_WORDS = (
    "difficulty readability complexity hardness ambiguity toxicity similarity relevance sentiment confidence"
    " uncertainty entropy perplexity fluency coherence safety risk length quality overall total mean average avg median"
    " max min sum best worst final oracle true pred predicted prediction gold target ground truth expected human judge"
    " judged verifier self question prompt answer query response reference text image reading ease grade level test"
    " train val dev validation sample bert bleu rouge f1 consistency importance priority user rating router routing"
    " label single random uniform baseline class topic domain task"
)
_MEASURES = frozenset(_WORDS.split())


def looks(columns: Sequence[str], sample: Sequence[Mapping[str, Any]]) -> bool:
    """Whether columns share an ending that is an outcome's, after names of models."""
    return bool(cells(columns))


def measures(stem: str) -> bool:
    """Whether a name is made of words that measure questions: `difficulty`, `reading_ease`."""
    return all(word in _MEASURES or word.isdigit() for word in re.split(r"[_\s\-]+", stem.lower()) if word)


def cells(columns: Sequence[str], models: Sequence[str] | None = None) -> dict[str, dict[str, Column]]:
    """Return the columns of each model, models in order of first appearance.

    Args:
        columns: the names.
        models: those that count as models whatever they are called.
    """
    plain = [
        n for n in columns if "." not in n.rpartition("_")[2] and "|" not in n and not n.startswith("arms.")
    ]
    stems = {ending: _stems(plain, ending, models or ()) for ending in aliases.ENDINGS}
    ending = next((e for e in aliases.UTILITY if stems[e]), "")
    ending = ending or next((e for e in aliases.ENDINGS if len(stems[e]) > 1), "")
    found: dict[str, dict[str, Column]] = {}
    for model in stems.get(ending, ()):
        own = [n for n in plain if n.startswith(f"{model}_")]
        fields = {f: field_column(own, f, f"{model}_") for f in aliases.FIELDS}
        found[model] = {"utility": Column(f"{model}_{ending}")} | {f: c for f, c in fields.items() if c}
    return found


def _stems(names: Sequence[str], ending: str, models: Sequence[str]) -> list[str]:
    """Return what stands before an ending, where it can be a model; `is` before `correct` is none."""
    stems = [n.removesuffix(f"_{ending}") for n in names if n.endswith(f"_{ending}")]
    return [s for s in dict.fromkeys(stems) if s and s != "is" and (s in models or not measures(s))]


def read(sheet: Sheet, how: How) -> Answers:
    """Return the outcomes of each model; columns alike that are none are named."""
    found = cells(sheet.names, how.models)
    answered = answers.wide(sheet, found, how)
    ending = next(iter(found.values()))["utility"].name[len(next(iter(found))) :]
    alike = [n for n in sheet.names if n.endswith(ending) and n not in answered.used and n != ending]
    if not alike:
        return answered
    taken, left = (", ".join(map(cut, names)) for names in (found, alike))
    said = f"taken for models: {taken}; not {left} (--models A,B says otherwise)"
    return answered._replace(notes=(*answered.notes, said), used=answered.used | set(alike))
