"""The rows of the scorecard, in their order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from benchmarks.rows import Effort
from benchmarks.scorecard import embedding, found, kept, overhead, promises, scale, strip
from benchmarks.scorecard.figures import Figure
from benchmarks.scorecard.stage import Stage


@dataclass(frozen=True, slots=True)
class Entry:
    section: str
    title: str
    measure: Callable[[Effort, Stage], Iterator[Figure]]
    takes_data: bool = False


ROWS: dict[str, Entry] = {
    "alone": Entry("Overhead", "How fast the model API and the clients are, with nothing between them", overhead.alone),
    "first-byte": Entry("Overhead", "What is added to the first byte", overhead.first_byte),
    "request-cpu": Entry("Overhead", "CPU of a request", overhead.request_cpu),
    "streams": Entry("Overhead", "64 paced streams", overhead.streams),
    "resident": Entry("Overhead", "Memory", overhead.resident),
    "abort": Entry("Overhead", "A client that leaves", overhead.abort),
    "embedder": Entry("Embedding", "Chats with new questions", embedding.throughput),
    "agent-loop": Entry("Embedding", "An agent's loop", embedding.agent_loop),
    "first-request": Entry("Embedding", "The start, and the first request after it", embedding.first_request),
    "scale": Entry("Scale", "Up to a hundred thousand memories", scale.scale),
    "scale-million": Entry("Scale", "A million memories", scale.million),
    "strip": Entry("Strip", "Hostile answers, cut at random", strip.strip),
    "cache": Entry("Prompt cache", "What two successive requests of a chat begin with in common", kept.cache),
    "retrieval": Entry("Retrieval", "What is found of what was said", found.found, takes_data=True),
    "keeping": Entry("Keeping", "Said again, changed, and nearly the same", kept.kept),
    "month": Entry("Keeping", "A month with a careless model", kept.lived),
    "crash": Entry("Promises", "Killed while an answer is under way", promises.crash),
    "faults": Entry("Promises", "Memory's side broken", promises.faults),
    "isolation": Entry("Promises", "Users with colliding names", promises.isolation),
}
