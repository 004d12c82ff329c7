"""How much of what was said is found again: recall and hit rate of questions about conversations, beside plain retrieval.

The conversations of a data file (``benchmarks/corpus.py`` says of which form) are fed turn by turn to the write path of a chat,
in order and with their times, and each question is asked of the read path of a chat, on the embedded store and the real
embedding model. With ``--facts`` each fact of the file comes in a memory block, in the answer to its first turn.
What a chat would inject with each question is counted, too: also with those that nobody can answer.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Literal

from rich.console import Console

from benchmarks.baselines import Baselines
from benchmarks.chats import ALL, block_body
from benchmarks.corpus import Fact, Person, Question, Turn, load
from benchmarks.retrieval import CUTS, ENOUGH, SKIPPED, Board, Figures, Injected, Injections, Item, Ranking, judge
from benchmarks.rows import table
from proxy import config, logs
from proxy.cli.models import Report, progress
from proxy.core import places
from proxy.core.blocks import Block
from proxy.core.models import TURN, Memory, Owner
from proxy.memory.embedder import Embedder
from proxy.memory.embedding import open_embedder
from proxy.memory.recall import Asked, Recall
from proxy.memory.remember import Keeping, Remember, Said, Spoken
from proxy.memory.store import MemoryStore, Which, digest
from proxy.memory.stores import open_store

NAMES = {"dense": "dense", "bm25": "BM25", "rrf60": "RRF 60", "ours": "ours"}
_FOR_EVER = Keeping(context_days=0, turn_days=0)
"""The conversations are years old, the questions of today."""
DEFAULT = config.Embedding()
_NO_HURRY = config.Recall(deadline_ms=60_000)
"""What is found must not depend on how busy the machine is."""


@dataclass(frozen=True, slots=True)
class Chatting:
    """What a chat has of memory: both its paths, and the store between them."""

    store: MemoryStore
    remember: Remember
    recall: Recall


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks/recall.py", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, metavar="FILE", help="conversations and questions about them")
    parser.add_argument("--facts", action="store_true", help="remember the facts of the file, too")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file")
    parser.add_argument("--quick", action="store_true", help="the first user only: for a first look, not for a claim")
    parser.add_argument("--precision", choices=("float32", "int8"), help="of the embedding model; without, the default")
    options = parser.parse_args(arguments)
    try:
        people = load(options.data)
    except (OSError, ValueError) as exc:
        parser.error(str(exc))
    logs.configure(config.Log(level="warning"))
    with progress(Console(stderr=True)) as report:
        people = people[:1] if options.quick else people
        boards = asyncio.run(measure(people, with_facts=options.facts, embedding=_embedding(options.precision), report=report))
    print("\n\n".join(_tables(boards)))
    if options.json is not None:
        options.json.write_text(json.dumps(as_json(boards), indent=2) + "\n", encoding="utf-8")
    return 0


def _embedding(precision: Literal["float32", "int8"] | None) -> config.Embedding:
    return config.Embedding() if precision is None else config.Embedding(precision=precision)


async def measure(
    people: Sequence[Person], *, with_facts: bool, report: Report, embedding: config.Embedding = DEFAULT
) -> dict[str, Board]:
    """For each way of finding, what it found for every question."""
    boards = {name: Board() for name in ("dense", "bm25", "rrf60", "ours")}
    # The write path embeds a turn with its neighbours more than once; a question is embedded by each that finds it.
    remembering, plain = replace(embedding, cache_entries=4), replace(embedding, cache_entries=0)
    async with open_embedder(remembering) as embedder, open_embedder(plain) as another, _chatting(embedder) as chatting:
        await _feed(chatting.remember, people, with_facts=with_facts, report=report)
        steps = _counted(report, "asking", sum(len(each.questions) for each in people))
        for person in people:
            baselines = await Baselines.of(person, another)
            ours = await _Ours.of(person, chatting)
            for question in person.questions:
                if question.evidence:
                    boards["ours"].add(question, judge(ours.evidence(question), await ours.find(question.text)))
                    for name, ranking in (await baselines.find(question.text)).items():
                        boards[name].add(question, judge(question.evidence, ranking))
                boards["ours"].inject(question, await ours.injected(question))
                next(steps)
    return boards


@asynccontextmanager
async def _chatting(embedder: Embedder) -> AsyncIterator[Chatting]:
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="memory-proxy-bench-"))
        store = await stack.enter_async_context(open_store(config.Store(path=folder), embedder.dimensions))
        remember = Remember(store, embedder, options=_FOR_EVER, queue_size=1, grace_s=60)
        await stack.enter_async_context(remember.running())
        yield Chatting(store, remember, Recall(store, embedder, _NO_HURRY))


async def _feed(remember: Remember, people: Sequence[Person], *, with_facts: bool, report: Report) -> None:
    steps = _counted(report, "remembering", sum(len(each.turns) for each in people))
    for person in people:
        facts = _by_first_turn(person) if with_facts else {}
        for turn in person.turns:
            remember.submit(_said(person, turn, facts.get(turn.id, [])))
            await remember.settled()
            next(steps)


def _by_first_turn(person: Person) -> dict[str, list[Fact]]:
    facts: dict[str, list[Fact]] = {}
    for fact in person.facts:
        facts.setdefault(fact.turns[0], []).append(fact)
    return facts


def _noted(fact: Fact) -> dict[str, str]:
    return {"content": fact.text} | ({"category": fact.category} if fact.category else {})


def _said(person: Person, turn: Turn, facts: Sequence[Fact]) -> Said:
    """As it comes out of a chat. The turn's id serves as trace, by which its memories are known again."""
    return Said(
        Owner(person.user),
        turn.session,
        turn.id,
        [Block(block_body([_noted(fact) for fact in facts]))] if facts else [],
        spoken=Spoken(turn.text, turn.speaker, lambda: turn.reply),
        at=turn.at,
    )


def _counted(report: Report, step: str, total: int) -> Iterator[None]:
    for done in range(1, total + 1):
        report(step, done, total)
        yield


class _Ours:
    """One person's memories, in the words of the data file's evidence."""

    def __init__(self, person: Person, chatting: Chatting, stored: Mapping[str, str]) -> None:
        self._owner = Owner(person.user)
        self._recall = chatting.recall
        self._stored = stored

    @classmethod
    async def of(cls, person: Person, chatting: Chatting) -> _Ours:
        kept = await chatting.store.list(Owner(person.user), Which(types=(TURN,)), limit=ALL)
        by_trace = {each.trace: each.id for each in kept}
        by_text = {digest(turn.text): by_trace[turn.id] for turn in reversed(person.turns) if turn.id in by_trace}
        # A prompt that was used again stands for both; what says nothing ("Wow!") is not kept, and can't be found.
        stored = {turn.id: by_trace.get(turn.id) or by_text.get(digest(turn.text), turn.id) for turn in person.turns}
        return cls(person, chatting, stored)

    def evidence(self, question: Question) -> frozenset[str]:
        return frozenset(self._stored[each] for each in question.evidence)

    async def find(self, question: str) -> Ranking:
        started = perf_counter()
        found = await self._recall.find(self._owner, Asked(question))
        ms = (perf_counter() - started) * 1000
        return Ranking([_item(each.memory) for each in found], ms)

    async def injected(self, question: Question) -> Injected:
        """With the first message of a conversation, so the profile is among it."""
        notes = (await self._recall.recall(self._owner, Asked(question.text))).notes
        evidence, seen = self.evidence(question), {turn for note in notes for turn in _item(note.memory).turns}
        share = len(evidence & seen) / len(evidence) if evidence else None
        return Injected(len(notes), sum(len(note.line.split()) for note in notes), share)


def _item(memory: Memory) -> Item:
    """A memory stands for the turns that said it."""
    if memory.is_turn:
        return Item(frozenset({memory.id}), f"{memory.speaker}: {memory.content}" if memory.speaker else memory.content)
    return Item(frozenset({*memory.turns, places.turn_of(memory.id)}), memory.content)


def as_json(boards: Mapping[str, Board]) -> dict[str, dict[str, object]]:
    return {
        name: {
            **board.headline().as_json(),
            "categories": {category: each.as_json() for category, each in board.categories().items()},
            "injected": {category: each.as_json() for category, each in board.injected().items()},
        }
        for name, board in boards.items()
    }


_COLUMNS = (*(f"recall@{cut}" for cut in CUTS), "hit@5", "hit@10", "MRR", "words@5")


def _tables(boards: Mapping[str, Board]) -> Iterator[str]:
    headlines = {name: board.headline() for name, board in boards.items()}
    questions = headlines["ours"].questions
    yield f"All {questions} questions but those of the category {SKIPPED}:"
    yield table(
        ["", *_COLUMNS, "ms"],
        [[NAMES[name], *_cells(each), f"{each.ms:.1f}"] for name, each in headlines.items()],
    )
    yield f"What it takes for a recall of {ENOUGH}:"
    yield table(["", "items", "words"], [[NAMES[name], *_enough(each)] for name, each in headlines.items()])
    yield "By category:"
    yield table(
        ["category", "questions", "", *_COLUMNS],
        [
            [category, str(each.questions), NAMES[name], *_cells(each)]
            for category in boards["ours"].categories()
            for name, board in boards.items()
            for each in [board.categories()[category]]
        ],
    )
    yield "What ours injects into a chat that begins with the question:"
    yield table(
        ["category", "questions", "notes", "words", "nothing", "of the evidence"],
        [[category, *_injections(each)] for category, each in boards["ours"].injected().items()],
    )


def _cells(each: Figures) -> list[str]:
    shares = (*(each.recall[cut] for cut in CUTS), each.hit[5], each.hit[10], each.mrr)
    return [*(f"{share:.3f}" for share in shares), f"{each.words:.0f}"]


def _injections(each: Injections) -> list[str]:
    share = "" if each.share is None else f"{each.share:.3f}"
    return [str(each.questions), f"{each.notes:.1f}", f"{each.words:.0f}", f"{each.silent:.3f}", share]


def _enough(each: Figures) -> list[str]:
    return ["not reached", ""] if each.enough is None else [str(each.enough[0]), f"{each.enough[1]:.0f}"]


if __name__ == "__main__":
    sys.exit(main())
