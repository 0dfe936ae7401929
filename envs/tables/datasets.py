"""What is known of public data sets by name: their scenario, and where MMR-Bench keeps their images."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np

from envs.outcomes import Texts

SCENARIOS = ("ocr", "vqa", "math", "text")
# How names of public data sets begin, letters and digits only: "MathVista_MINI", "SEED-Bench-2-Plus", "MMBench_DEV_EN".
_BEGIN = {
    "ocr": "ocrbench seedbench2plus seedbenchv2plus chartqa docvqa infovqa infographicvqa textvqa ocrvqa textocr"
    " tablevqa charxiv mtvqa stvqa ccocr vcrwiki",
    "math": "mathvista mathverse mathvision mathv360 wemath dynamath olympiadbench geoqa mmmath logicvista",
    "vqa": "mmstar realworldqa worldcuisines mmbench mmvet mmvp seedbench hallusionbench scienceqa vizwiz vqav2 okvqa"
    " aokvqa llavabench ccbench mmtbench qbench abench gqatest gqatestdev muirbench blinkval pope",
}
_SCENARIO = {name: scenario for scenario, names in _BEGIN.items() for name in names.split()}
_SHORT = re.compile(r"(mmmu|mme|gqa|ai2d|blink|coco)(?![a-z])")
_TEXT = re.compile(
    r"(agieval|alpaca_?eval|arc|bbh|boolq|cnn_?dm|cnn_dailymail|commonsense_?qa|drop|gpqa|gsm8k|hellaswag|hotpot_?qa"
    r"|human_?eval|ifeval|mbpp|mmlu|mt_?bench|nq|natural_?questions|openbook_?qa|piqa|squad|trivia_?qa|truthful_?qa"
    r"|winogrande)(?![a-z])"
)
# MMR-Bench's `dataset_idx` prefix -> its image folder, as the published loader has it (data/mllm_data.py).
_FOLDERS = {
    name: name for name in ("MathVerse", "MathVision", "MathVista", "OCRBench", "RealWorldQA", "MMStar")
} | {"SEEDBench2_Plus": "SEEDBenchv2Plus"}


def scenario_of(dataset: str) -> str:
    """Return `ocr`, `vqa`, `math` or `text` for a data set known by name, else ""."""
    plain = "".join(c for c in dataset.lower() if c.isalnum())
    for length in range(len(plain), 3, -1):  # the longest beginning that is known
        if plain[:length] in _SCENARIO:
            return _SCENARIO[plain[:length]]
    if _SHORT.match(dataset.lower()):
        return "vqa"
    return "text" if _TEXT.match(dataset.lower()) else ""


def is_index(names: Texts) -> bool:
    """Whether these query ids are MMR-Bench's own, `<data set>_<index>` throughout."""
    parts = (str(name).rpartition("_") for name in names)
    return all(head in _FOLDERS and tail.isdigit() for head, _, tail in parts)


def split_index(dataset_idx: Texts) -> tuple[Texts, list[str]]:
    """Return the `(T,)` data set and the index of each MMR-Bench row: `MMStar_7` is row `7` of `MMStar`."""
    parts = [str(name).rpartition("_") for name in dataset_idx]
    return np.array([head or tail for head, _, tail in parts], dtype=object), [tail for _, _, tail in parts]


def image_paths(folder: Path, dataset: Texts, index: list[str]) -> Texts:
    """Return the `(T,)` image path of each MMR-Bench row, relative to the folder of the table.

    Images lie beside the table as `<data set>/<index>.<ending>`, those of SEEDBench2_Plus under
    `SEEDBenchv2Plus`. The ending is that of the file which is there, and `.jpg` where none is, as in the
    published loader; data sets of another name have no image: "".
    """
    present: dict[tuple[str, str], str] = {}
    for name in {_FOLDERS[d] for d in set(dataset.tolist()) & set(_FOLDERS)}:
        if (folder / name).is_dir():
            present |= {
                (name, Path(file).stem): file for file in sorted(os.listdir(folder / name), reverse=True)
            }
    paths = []
    for name, row in zip(dataset, index, strict=True):
        home = _FOLDERS.get(name)
        paths.append(f"{home}/{present.get((home, row), row + '.jpg')}" if home else "")
    return np.array(paths, dtype=object)
