"""What a text costs in int8, beside the model in float32: CPU per text, in turns, each text a new one."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Sequence
from time import process_time

from benchmarks import wire
from benchmarks.rows import Effort, Row, ratio
from proxy import config
from proxy.memory.embedder import Embedder
from proxy.memory.embedding import open_embedder

WORDS = (8, 20, 60, 200)
TEXTS = 20
AT_MOST = 0.59
"""1.7 times as fast."""


def embedder(effort: Effort) -> Iterator[Row]:
    yield from asyncio.run(_rows(effort))


async def _rows(effort: Effort) -> list[Row]:
    async with (
        open_embedder(config.Embedding(precision="float32", cache_entries=0)) as published,
        open_embedder(config.Embedding(precision="int8", cache_entries=0)) as ours,
    ):
        return [await _row(words, published, ours, effort) for words in WORDS]


async def _row(words: int, published: Embedder, ours: Embedder, effort: Effort) -> Row:
    rounds = []
    for seed in range(effort.rounds):
        texts = _texts(words, effort.of(TEXTS), seed)
        rounds.append((await _cpu_us(published, texts), await _cpu_us(ours, texts)))
    return ratio(f"embedding a text of {words} words, int8 / float32", rounds, unit="µs", at_most=AT_MOST)


def _texts(words: int, count: int, seed: int) -> list[str]:
    source = random.Random(seed)
    return [" ".join(source.choices(wire.PROSE.split(), k=words)) for _ in range(count)]


async def _cpu_us(embedder: Embedder, texts: Sequence[str]) -> float:
    """Of the whole process, as the model works in a thread."""
    started = process_time()
    for text in texts:
        await embedder.embed_query(text)
    return (process_time() - started) / len(texts) * 1e6
