"""``docs/scale.md``: what millions and billions of memories need, on paper, beside what was measured of the embedded store.

The formulas are Qdrant's own, from the pages that the text links; what is ours to assume stands in ``Point`` and ``Traffic``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.rows import table
from benchmarks.scorecard.figures import Json
from benchmarks.scorecard.table import spelt

GB = 1e9
OVERHEAD = 1.5
"""Qdrant's: indexes, point versions, segments under optimisation."""


@dataclass(frozen=True, slots=True)
class Point:
    """One memory or turn. *id_bytes*: Qdrant's id tracker with a UUID. *indexed_bytes*: our ten payload indexes, estimated."""

    dimensions: int = 384
    payload_bytes: int = 1000
    sparse_bytes: int = 200
    id_bytes: int = 4 + 16 + 16 + 4
    indexed_bytes: int = 250

    @property
    def vector_bytes(self) -> float:
        return self.dimensions * 4 * OVERHEAD

    @property
    def resident_bytes(self) -> float:
        """Whatever is done about vectors."""
        return self.id_bytes + self.indexed_bytes

    @property
    def disk_bytes(self) -> float:
        return self.vector_bytes + (self.payload_bytes + self.sparse_bytes) * OVERHEAD


@dataclass(frozen=True, slots=True)
class Layout:
    """What is kept in memory of a vector: *share* of its bytes. *extra_disk*: a second copy beside it, as a share too."""

    name: str
    share: float
    extra_disk: float = 0.0


ACTIVE = 0.1
LAYOUTS = (
    Layout("everything in memory", 1),
    Layout(f"vectors on disk, memory for the {ACTIVE:.0%} of users who are active", ACTIVE),
    Layout("int8 in memory (`store.quantization: scalar`), vectors on disk", 1 / 4, 1 / 4),
    Layout("one bit in memory (`binary`), vectors on disk", 1 / 32, 1 / 32),
)
REPLICAS = 2
NODE_GB, USABLE = 128, 0.8
"""Resident memory above 80 % of a node is a sign of trouble, says Qdrant."""

LEAST_NODES = 3


def memory_gb(points: int, layout: Layout, point: Point = Point()) -> float:
    """Of one replica."""
    return points * (point.vector_bytes * layout.share + point.resident_bytes) / GB


def disk_gb(points: int, layout: Layout, point: Point = Point()) -> float:
    return points * (point.disk_bytes + point.vector_bytes * layout.extra_disk) / GB


def nodes(points: int, layout: Layout, point: Point = Point()) -> int:
    """So many that all replicas fit, and at least as many as survive the loss of one."""
    return max(LEAST_NODES, math.ceil(REPLICAS * memory_gb(points, layout, point) / (NODE_GB * USABLE)))


@dataclass(frozen=True, slots=True)
class Traffic:
    """*per_user* memories and turns; of the users *active* a day, each with *chats*; the busiest hour has *peak* times the mean."""

    per_user: int = 200
    active: float = 0.1
    chats: int = 10
    peak: float = 4
    busy: float = 0.6

    def chats_per_s(self, points: int) -> float:
        """At the peak."""
        return points / self.per_user * self.active * self.chats / 86_400 * self.peak

    def cores(self, points: int, chat_s: float) -> int:
        """Kept *busy* to that share, at *chat_s* of CPU a chat."""
        return math.ceil(self.chats_per_s(points) * chat_s / self.busy)


SIZES = (1_000_000, 100_000_000, 10_000_000_000)


def write(report: Json, page: Path) -> None:
    page.write_text(render(report), encoding="utf-8")


def render(report: Json) -> str:
    return "\n".join(_parts(report)) + "\n"


def _parts(report: Json) -> Iterator[str]:
    yield _HEAD
    yield from _measured(report)
    yield _QDRANT.format(node=NODE_GB, usable=f"{USABLE:.0%}", replicas=REPLICAS, point=Point())
    yield table(
        ["memories and turns", "vectors", "memory a replica", f"disk, {REPLICAS} replicas", f"nodes of {NODE_GB} GB"], _cluster()
    )
    yield _SHARDS
    yield from _proxies(report)
    yield _SOURCES


def _cluster() -> list[Sequence[str]]:
    return [
        [
            f"{points:,}",
            layout.name,
            _size(memory_gb(points, layout)),
            _size(REPLICAS * disk_gb(points, layout)),
            f"{nodes(points, layout):,}",
        ]
        for points in SIZES
        for layout in LAYOUTS
    ]


def _size(gb: float) -> str:
    return f"{gb:.1f} GB" if gb < 10 else f"{gb:.0f} GB" if gb < 1000 else f"{gb / 1000:.1f} TB"


def _measured(report: Json) -> Iterator[str]:
    rows = [row for row in report["rows"] if row["row"] in ("scale", "scale-million") and row["figures"]]
    if not rows:
        yield "Not measured yet: `scripts/scorecard scale scale-million`.\n"
    for row in rows:
        sizes = list(row["figures"][0]["measured"])
        figures = [each for each in row["figures"] if set(each["measured"]) == set(sizes)]
        quick = "" if row["effort"] == "full" else ", with `--quick`: for a first look, not for a claim"
        yield f"`{row['command']}`, {row['at'][:10]}{quick}:\n"
        cells = [[_named(each), *(spelt(each["measured"][size]["median"]) for size in sizes)] for each in figures]
        yield table(["by number of memories", *sizes], cells) + "\n"
        for each in row["figures"]:
            if each not in figures:
                yield f"- {_named(each)}: {', '.join(_value(name, spread) for name, spread in each['measured'].items())}"
        yield ""


def _named(figure: Json) -> str:
    return f"{figure['figure']} ({figure['unit']})" if figure["unit"] else str(figure["figure"])


def _value(name: str, spread: Json) -> str:
    return spelt(spread["median"]) if name == "memory-proxy" else f"{name} {spelt(spread['median'])}"


def _proxies(report: Json) -> Iterator[str]:
    found = {
        name: spread["median"] / 1e6
        for row in report["rows"]
        if row["row"] == "request-cpu"
        for figure in row["figures"][:1]
        for name, spread in figure["measured"].items()
    }
    chat_s = found.get("ours, memory on")
    traffic = Traffic()
    yield _TRAFFIC.format(traffic=traffic, share=f"{traffic.active:.0%}", busy=f"{traffic.busy:.0%}")
    if chat_s is None:
        yield "CPU of a chat is not measured yet: `scripts/scorecard request-cpu`."
        return
    again_s = found.get("ours, same question again", chat_s)
    yield table(
        [
            "memories and turns",
            "users",
            "chats a second at the peak",
            f"cores, each chat a new question ({chat_s * 1000:.1f} ms)",
            f"cores, each asked just before ({again_s * 1000:.1f} ms)",
        ],
        [
            [
                f"{points:,}",
                f"{points // traffic.per_user:,}",
                spelt(traffic.chats_per_s(points)),
                f"{traffic.cores(points, chat_s):,}",
                f"{traffic.cores(points, again_s):,}",
            ]
            for points in SIZES
        ],
    )


_HEAD = """# Scale

How far the embedded store goes, measured; and what a Qdrant cluster and the proxies before it need beyond that, on paper.
`scripts/scorecard` makes this page: the measured figures are those of [`scorecard.md`](scorecard.md), the formulas are Qdrant's own.

## The embedded store, measured

One process, no server. A search reads exactly the memories of its user, so what counts is how many one user has, hardly how many there are.
Random vectors of 384 dimensions, spread over 10,000 users; embedding excluded.
"""

_QDRANT = """
## A Qdrant cluster, on paper

For several proxies, or for more than one machine holds, `store.kind: qdrant`.
What follows is arithmetic, not measurement: test with data of your own before you buy.

- **Vectors** take `count × dimensions × 4 bytes × 1.5`, the half for indexes, versions and segments that are being optimised [1].
  Where searches are each for one user, vectors may lie on disk, and memory is needed for those of active users only: the same formula with their count [1].
- **Quantisation** keeps a copy in memory, a quarter of the size as int8, a thirty-second as one bit a dimension, and the originals on disk to decide between candidates [2]. One bit suits vectors of 1,024 dimensions and more better than our 384: measure what is found (`scripts/scorecard retrieval`) before using it.
- **Ids** take {point.id_bytes} bytes a point in memory with UUIDs [3]; our payload indexes are taken to be {point.indexed_bytes} bytes a point, also in memory.
- **Payload** lies on disk: {point.payload_bytes} bytes a memory or turn × 1.5 [1], and {point.sparse_bytes} for its sparse vector.
- **Graphs**: none over everything (`m: 0`), one for each user with enough memories (`payload_m: 16`), the owner's index marked as tenant, so that a user's points lie together [4]. The proxy makes its collection so. Users with some hundred memories are searched without a graph.
- **Replicas**: {replicas} of everything on at least three nodes keep serving, reads and writes, while one is down [5]. Nodes have {node} GB, of which {usable} are used.
"""

_SHARDS = """
**Shards.** Up to some ten nodes, two to four shards a node are what Qdrant advises [5]; a search asks all of them, which is cheap while they are few.
Make the collection yourself for that (`shard_number`, `replication_factor`, `on_disk`), with the named vectors `dense` and `sparse`, before the first proxy starts: it takes one that is there and fits.
Beyond, a search should ask one shard alone. User-defined sharding does that: a shard key a tenant or, for many small users, a key for each of some hundred groups of them, as more than a thousand dedicated shards a cluster are advised against [4].
Qdrant 1.16 moves a tenant that has grown (about 20,000 points) from a shared shard to one of its own while it is served; the shared one must fit on one node so far [4].
**The proxy does not send shard keys yet.** Until it does, the way to ten billion is several clusters, each with proxies of its own, and tenants divided among them by whatever routes requests to the proxies: nothing is shared between tenants, so nothing else changes.
"""

_TRAFFIC = """
## The proxies before it

A proxy has no state that another needs: replicas share the Qdrant server, and each has a journal of its own. A conversation should stay with one replica, so that its prompt keeps its beginning.
Taken here: {traffic.per_user} memories and turns a user, {share} of the users on a day, {traffic.chats} chats each, {traffic.peak:g} times the mean in the busiest hour, cores {busy} busy. CPU of a chat is the figure of [`scorecard.md`](scorecard.md).

The embedding of the question is most of that figure. It can be had elsewhere (`embedding.provider: openai`, any server that speaks `/embeddings`), and what an agent asks again and again is embedded once.
"""

_SOURCES = """
## Sources

Qdrant's documentation, as of 2026:

1. Capacity planning, with "subgroup-oriented configuration": <https://qdrant.tech/documentation/capacity-planning/>
2. Quantization: <https://qdrant.tech/documentation/manage-data/quantization/>
3. Large-scale search, where 400 million points and their ids are counted byte by byte: <https://qdrant.tech/documentation/tutorials-operations/large-scale-search/>
4. Multitenancy, tiered multitenancy and its limits: <https://qdrant.tech/documentation/manage-data/multitenancy/>
5. Distributed deployment, and the production checklist: <https://qdrant.tech/documentation/scaling/distributed_deployment/>, <https://qdrant.tech/documentation/cloud/production-checklist/>"""
