"""Whether taking blocks out is right however an answer is cut: the hostile answers of ``tests/core/hostile.py``, cut at random.

Each answer is cut twice, into chunks as a model may write them and into pieces as a network may send them. What a client sees and
what is kept must be what the answer, read as one text, says; and the bytes must be those of the stream read in one piece.
"""

from __future__ import annotations

import json
import random
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, cycle, pairwise
from pathlib import Path
from typing import TypeVar

from benchmarks.rows import Effort
from benchmarks.scorecard.figures import OURS, Figure, ours
from benchmarks.scorecard.peers import python, version
from benchmarks.scorecard.stage import Stage
from benchmarks.scorecard.system import NotStarted
from proxy.core.blocks import Block, BlockScanner
from proxy.core.stream import StreamFilter
from tests.core.hostile import ANSWERS, Answer
from tests.core.strategies import answer_stream, ordered, read_events, run, seen_text

CUTS = 5_000_000
PIECE_BYTES, DELTA_CHARACTERS = 12, 4
"""On average. Of long answers so many more that there are no more than ``MOST_PIECES``."""
MOST_PIECES = 2000
T = TypeVar("T", str, bytes)
PARSER = Path(__file__).with_name("headroom_parser.py")


@dataclass(slots=True)
class _Tally:
    cuts: int = 0
    streams: int = 0
    different: list[str] = field(default_factory=list)
    altered: list[str] = field(default_factory=list)
    held_bytes: int = 0


def strip(effort: Effort, _stage: Stage) -> Iterator[Figure]:
    tally, source = _Tally(), random.Random(0)
    for answer in cycle(ANSWERS):
        _cut_up(answer, source, tally)
        if tally.cuts >= effort.of(CUTS):
            break
    note = f"{tally.streams:,} streams of {len(ANSWERS)} hostile answers"
    yield ours("random cuts", "", tally.cuts, note=note)
    yield ours("… differences from the answer read whole", "", len(tally.different), at_most=0, note=_some(tally.different))
    yield ours("… events altered that need not have been", "", len(tally.altered), at_most=0, note=_some(tally.altered))
    yield ours("… bytes of the wire held back at most, of answers without a block", "", tally.held_bytes)
    yield from _whole_answers()


def _some(names: Sequence[str]) -> str:
    return ", ".join(sorted(set(names))[:5])


def _cut_up(answer: Answer, source: random.Random, tally: _Tally) -> None:
    deltas = _pieces(answer.text, DELTA_CHARACTERS, source)
    data = answer_stream(deltas, finish_reason=answer.finish_reason)
    network = _pieces(data, PIECE_BYTES, source)
    out, blocks, held = _filtered(answer, network)
    tally.streams += 1
    tally.cuts += len(network) + len(deltas) - 2
    if (seen_text(out), ordered(blocks)) != (answer.seen, ordered(answer.blocks)) or out != _in_one_piece(answer, data):
        tally.different.append(answer.name)
    if _needlessly_altered(answer, deltas, data, out):
        tally.altered.append(answer.name)
    if answer.seen == answer.text:
        tally.held_bytes = max(tally.held_bytes, held)


def _filtered(answer: Answer, network: Sequence[bytes]) -> tuple[bytes, list[Block], int]:
    """What leaves the filter, the blocks, and the most bytes that had come and not left."""
    filter_, out, coming, held = StreamFilter(max_block_bytes=answer.max_block_bytes), [], 0, 0
    for piece in network:
        out.append(filter_.feed(piece))
        coming += len(piece) - len(out[-1])
        held = max(held, coming)
    out.append(filter_.finish())
    return b"".join(out), filter_.blocks, held


def _in_one_piece(answer: Answer, data: bytes) -> bytes:
    return run(StreamFilter(max_block_bytes=answer.max_block_bytes), [data])


def _needlessly_altered(answer: Answer, deltas: Sequence[str], data: bytes, out: bytes) -> int:
    """Events whose text is seen as it is, and which are not there as the bytes that they came in."""
    scanner = BlockScanner(max_block_bytes=answer.max_block_bytes)
    scanner.feed(answer.text)
    scanner.finish(truncated=answer.truncated)
    seen_whole = chain([True], (scanner.take(delta) == delta for delta in deltas), cycle([True]))  # the role comes first
    left = iter([raw for raw, _ in read_events(out)])
    return sum(raw not in left for (raw, _), whole in zip(read_events(data), seen_whole, strict=False) if whole)


def _pieces(data: T, size: int, source: random.Random) -> list[T]:
    """*data* cut at random places, about *size* apart."""
    count = min(MOST_PIECES, len(data) // size)
    marks: list[int] = sorted(source.randrange(len(data) + 1) for _ in range(count))
    return [data[a:b] for a, b in pairwise([0, *marks, len(data)])]


# Beside headroom's parser, which takes whole answers.


def _whole_answers() -> Iterator[Figure]:
    mine = [_judged(answer, _seen(answer)) for answer in ANSWERS]
    rounds, missing, name = {OURS: mine}, {}, version("headroom")
    try:
        rounds[name] = [_judged(answer, seen) for answer, seen in zip(ANSWERS, _seen_by_headroom(), strict=True)]
    except (NotStarted, OSError, ValueError) as exc:
        missing[name] = str(exc)
    note = "as whole answers, which is all that headroom's parser takes; by our definition of a block, and blank space aside"
    for kind, figure in (("leaks", "of which a block is seen"), ("eats", "of which the user's own text is missing")):
        counts = {each: [float(sum(kind in judged for judged in found))] for each, found in rounds.items()}
        yield Figure(f"of {len(ANSWERS)} hostile answers, those {figure}", "", OURS, counts, missing, at_most=0, note=note)
        note = ""


def _judged(answer: Answer, seen: str) -> frozenset[str]:
    expected, found = _letters(answer.seen), _letters(seen)
    return frozenset(
        kind for kind, there, gone in (("leaks", found, expected), ("eats", expected, found)) if not _is_part_of(there, gone)
    )


def _letters(text: str) -> str:
    return "".join(text.split())


def _is_part_of(short: str, long: str) -> bool:
    """Whether *short* can be had from *long* by leaving characters out."""
    left = iter(long)
    return all(character in left for character in short)


def _seen(answer: Answer) -> str:
    filter_ = StreamFilter(max_block_bytes=answer.max_block_bytes)
    return seen_text(run(filter_, [answer_stream([answer.text], finish_reason=answer.finish_reason)]))


def _seen_by_headroom() -> list[str]:
    asked = json.dumps([answer.text for answer in ANSWERS])
    done = subprocess.run([python("headroom"), PARSER], input=asked, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        raise NotStarted(f"its parser failed: {done.stderr.strip().splitlines()[-1:]}")
    return [str(each) for each in json.loads(done.stdout)]
