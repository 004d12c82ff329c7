"""What is found of what was said: ours beside plain retrieval, on our own set and on the files that are named with ``--data``."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

from benchmarks import recall
from benchmarks.corpus import load
from benchmarks.retrieval import Board
from benchmarks.rows import Effort
from benchmarks.scorecard.figures import OURS, Figure
from benchmarks.scorecard.stage import Stage
from proxy import config, logs

OWN = Path(__file__).parents[1] / "data" / "own.json"
MEASURES = ("recall@5", "recall@10", "hit@5", "mrr", "words@5")
QUICK_USERS = 1


def found(effort: Effort, stage: Stage) -> Iterator[Figure]:
    """The same settings for every set. The sets themselves can't be shipped: docs/benchmarks.md says where to get them."""
    files = [*([OWN] if OWN.exists() else []), *stage.data]
    if not files:
        raise FileNotFoundError(f"no data: {OWN} is not there, and --data named none")
    logs.configure(config.Log(level="warning"))
    for file in files:
        people = load(file)
        people = people if effort.share >= 1 else people[:QUICK_USERS]
        boards = asyncio.run(recall.measure(people, with_facts=True, report=lambda *_: None))
        yield from _figures(file.stem, boards)


def _figures(name: str, boards: dict[str, Board]) -> Iterator[Figure]:
    found = {OURS if board == "ours" else recall.NAMES[board]: each.headline().as_json() for board, each in boards.items()}
    questions = boards["ours"].headline().questions
    for measure in MEASURES:
        note = f"{questions} questions, with the facts of the file in memory blocks" if measure == MEASURES[0] else ""
        yield Figure(f"{name}: {measure}", "", OURS, {way: [each[measure]] for way, each in found.items()}, note=note)
