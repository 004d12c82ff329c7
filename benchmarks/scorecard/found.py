"""What is found of what was said: ours beside plain retrieval, on our own set and on the files that are named with ``--data``."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks import recall
from benchmarks.corpus import Person, load
from benchmarks.retrieval import Board
from benchmarks.rows import Effort
from benchmarks.scorecard.figures import Figure
from benchmarks.scorecard.peers import ROOT
from benchmarks.scorecard.stage import Stage
from proxy import config, logs

OWN = Path(__file__).parents[1] / "data" / "own.json"
MEASURES = ("recall@5", "recall@10", "hit@5", "mrr", "words@5")
QUICK_USERS = 1
WITH_FACTS, ALONE = "ours, with a good model's notes", "ours, messages alone"


def found(effort: Effort, stage: Stage) -> Iterator[Figure]:
    """The same settings for every set. The public sets can't be shipped: docs/benchmarks.md says where to get them."""
    files = [*([OWN] if OWN.exists() else []), *stage.data]
    if not files:
        raise FileNotFoundError(f"no data: {OWN.relative_to(ROOT)} is not there, and --data named none")
    logs.configure(config.Log(level="warning"))
    for file in files:
        people = load(file)
        yield from _figures(file.stem, people if effort.share >= 1 else people[:QUICK_USERS])


def _figures(name: str, people: Sequence[Person]) -> Iterator[Figure]:
    alone = _boards(people, with_facts=False)
    ways = {WITH_FACTS: _boards(people, with_facts=True)["ours"]} if any(each.facts for each in people) else {}
    ways |= {ALONE: alone["ours"], **{recall.NAMES[board]: each for board, each in alone.items() if board != "ours"}}
    headlines = {way: board.headline() for way, board in ways.items()}
    for measure in MEASURES:
        note = f"{headlines[ALONE].questions} questions of {len(people)} users" if measure == MEASURES[0] else ""
        found = {way: [each.as_json()[measure]] for way, each in headlines.items()}
        yield Figure(f"{name}: {measure}", "", next(iter(ways)), found, note=note)


def _boards(people: Sequence[Person], *, with_facts: bool) -> dict[str, Board]:
    return asyncio.run(recall.measure(people, with_facts=with_facts, report=lambda *_: None))
