"""What the parts know of themselves, read while somebody asks. What can't be read, or not in time, is left out of the answer."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from aiohttp import web
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from proxy.config import Store
from proxy.errors import MemoryProxyError
from proxy.memory.figures import BlocksSeen, Figures
from proxy.memory.journal import Counts
from proxy.web.health import healths
from proxy.web.room import ROOM
from proxy.web.services import MEMORY, SERVICES
from proxy.web.sightings import OUTCOMES

_PATIENCE_S = 1.0
_REFUSALS = ("instruction", "question", "recalled", "system", "tool", "too_many")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Asked:
    """What can't be read at once: the journal's *counts*, the store's *points*, and what is *free* on its disk, in bytes."""

    counts: Counts | None = None
    points: int | None = None
    free: int | None = None


class PartMetrics(Collector):
    """Those of one proxy: ``ask``, then have the registry ``collect`` before anybody else asks."""

    def __init__(self, store: Store) -> None:
        self._folder = Path(store.path)
        self._needed_bytes = store.min_free_bytes if store.kind == "edge" else 0
        self._app: web.Application | None = None
        self._asked = Asked()

    async def ask(self, app: web.Application) -> Asked:
        memory = app[MEMORY]
        counts, points, free = await asyncio.gather(
            _in_time(memory.remember.journal.counts()), _in_time(memory.points()), _in_time(asyncio.to_thread(self._free))
        )
        return Asked(counts, points, free)

    def show(self, app: web.Application, asked: Asked) -> None:
        """What the next ``collect`` is about."""
        self._app, self._asked = app, asked

    def collect(self) -> Iterator[Metric]:
        if self._app is None:
            return  # the registry asks once at the start which names there will be
        yield from self._requests(self._app)
        yield from self._upstreams(self._app)
        yield from self._parts(self._app)
        yield from self._embedder(self._app)
        yield from _blocks(self._app[MEMORY].remember.blocks_seen)
        yield from _remembered(self._app[MEMORY].remember.figures)
        yield from self._journal(self._app)
        yield from self._sizes(self._app)

    def _requests(self, app: web.Application) -> Iterator[Metric]:
        room = app[ROOM]
        yield _gauge("requests_under_way", "Requests to upstreams that are under way.", room.taken)
        yield _gauge("requests_limit", "How many may be: limits.requests.", room.most)
        yield _counter("requests_refused", "Requests that were told to come back, as too many were under way.", room.refused)

    def _upstreams(self, app: web.Application) -> Iterator[Metric]:
        outcomes = CounterMetricFamily(
            "memory_proxy_upstream_outcomes",
            "What upstreams answered; unreachable, broken, timeout: they didn't. An answer that breaks off counts as broken too.",
            labels=["upstream", "outcome"],
        )
        answered = GaugeMetricFamily(
            "memory_proxy_upstream_last_answer_timestamp_seconds", "When an upstream last answered.", labels=["upstream"]
        )
        for name, sighting in app[SERVICES].sightings.items():
            for outcome in dict.fromkeys([*OUTCOMES, *sighting.outcomes]):
                outcomes.add_metric([name, outcome], sighting.outcomes[outcome])
            if sighting.answered is not None:
                answered.add_metric([name], sighting.answered.timestamp())
        yield from (outcomes, answered)

    def _parts(self, app: web.Application) -> Iterator[Metric]:
        parts = [(name, each) for name, each in healths(app[MEMORY]) if not each.off]
        yield _gauges("part_in_order", "1, or 0 while a part is out of order.", "part", {name: each.well for name, each in parts})
        since = {name: each.since.timestamp() for name, each in parts}
        yield _gauges("part_since_timestamp_seconds", "Since when a part is as it is.", "part", since)

    def _embedder(self, app: web.Application) -> Iterator[Metric]:
        load = app[MEMORY].embedder.load
        yield _gauges("embedder_queue", "Texts that wait to be embedded, by what they are for.", "kind", load.waiting)
        yield _counters("embedder_texts", "Texts that were embedded, those found in the cache aside.", "kind", load.embedded)

    def _journal(self, app: web.Application) -> Iterator[Metric]:
        remember, counts = app[MEMORY].remember, self._asked.counts
        yield _counter("journal_refused", "Answers that the journal did not take.", remember.journal.refused)
        yield _gauge("answers_in_memory", "Answers that wait where a crash would lose them.", remember.unsafe)
        if counts is not None:
            age_s = 0.0 if counts.oldest is None else (datetime.now(UTC) - counts.oldest).total_seconds()
            yield _gauge("journal_entries", "Answers that wait in the journal to be remembered, open ones too.", counts.waiting)
            yield _gauge("journal_dead_letters", "Answers that were given up, and are kept for people to look at.", counts.dead)
            yield _gauge(
                "journal_oldest_entry_age_seconds", "How long the first of those that wait has been there.", max(0.0, age_s)
            )

    def _sizes(self, app: web.Application) -> Iterator[Metric]:
        memory, points, free = app[MEMORY], self._asked.points, self._asked.free
        yield _gauge(
            "replay_cache_bytes", "What earlier messages were given, kept so that they get it again.", memory.replay.size
        )
        yield _gauge("answers_drained", "Answers that are read on behind a client that left.", memory.drain.answers)
        if points is not None:
            yield _gauge("store_points", "Memories and turns in the store, of all users, past ones too.", points)
        if free is not None:
            yield _gauge("disk_free_bytes", "Room on the disk of store.path: the embedded store and the journal.", free)
            yield _gauge(
                "disk_needed_bytes", "With less the embedded store takes nothing: store.min_free_bytes.", self._needed_bytes
            )

    def _free(self) -> int:
        return shutil.disk_usage(self._folder).free


def _blocks(seen: BlocksSeen) -> Iterator[Metric]:
    yield _counter("blocks", "Memory blocks in answers.", seen.count)
    yield _counter("blocks_truncated", "Blocks that never ended, as at the token limit, or were too long.", seen.truncated)


def _remembered(figures: Figures) -> Iterator[Metric]:
    by_kind = "kind"
    stored = {"memory": figures.stored, "turn": figures.turns}
    restated = {"memory": figures.restated, "turn": figures.turns_restated}
    refused = dict.fromkeys(_REFUSALS, 0) | figures.echoes | {"too_many": figures.too_many}
    yield _counters("memories_stored", "Memories, and turns, that are new in the store.", by_kind, stored)
    yield _counters("memories_restated", "Memories, and turns, that were known already.", by_kind, restated)
    yield _counter("memories_retired", "Memories that an answer corrected or forgot.", figures.retired)
    yield _counter("memories_conflicting", "New memories that say otherwise than an old one.", figures.conflicts)
    yield _counter("memories_flagged", "New memories that read as an order.", figures.flagged)
    yield _counter(
        "memories_dropped", "Memories and turns that went to make room for others of their user.", figures.dropped_for_room
    )
    yield _counters("items_refused", "Items of blocks that were not the user's, by what they repeat.", "reason", refused)
    yield _counters("redactions", "Secrets that were taken out, by kind.", by_kind, figures.redacted)
    yield _counter("blocks_malformed", "Blocks that had to be patched together.", figures.malformed)
    yield _counter("answers_lost", "Answers whose memories are lost.", figures.lost)
    yield _counter("answers_given_up", "Answers that were put among the dead letters.", figures.dead)


async def _in_time(call: Awaitable[T]) -> T | None:
    """What *call* gives; ``None`` if it takes too long, or fails."""
    try:
        async with asyncio.timeout(_PATIENCE_S):
            return await call
    except (MemoryProxyError, OSError, TimeoutError):
        return None


def _gauge(name: str, about: str, value: float) -> Metric:
    return GaugeMetricFamily(f"memory_proxy_{name}", about, value)


def _counter(name: str, about: str, value: float) -> Metric:
    return CounterMetricFamily(f"memory_proxy_{name}", about, value)


def _gauges(name: str, about: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(f"memory_proxy_{name}", about, labels=[label])
    for each, value in values.items():
        family.add_metric([each], value)
    return family


def _counters(name: str, about: str, label: str, values: Mapping[str, float]) -> Metric:
    family = CounterMetricFamily(f"memory_proxy_{name}", about, labels=[label])
    for each, value in values.items():
        family.add_metric([each], value)
    return family
