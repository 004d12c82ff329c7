"""What a running proxy says of itself, for ``doctor --url``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from proxy.errors import RemoteError

if TYPE_CHECKING:
    from proxy.cli.remote import Remote

_ADVICE = {
    "store": "start the Qdrant server, or make room on the disk, or mend the folder; it comes back by itself",
    "embedder": "start the embeddings server, or run: memory-proxy models pull; it comes back by itself",
    "journal": "make room on its disk; a broken or locked one needs a restart",
    "upstream": "correct base_url, or the way there",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """How a part *name* is: *found* in one line, with what to do unless all is *well*."""

    name: str
    found: str
    well: bool = True


def examine(proxy: Remote) -> Iterator[Finding]:
    """Ask *proxy* how it is, its upstreams included."""
    try:
        health = proxy.health()
    except RemoteError as exc:
        yield Finding("proxy", str(exc), well=False)
        return
    yield Finding("proxy", f"{proxy.url} answers")
    for name, check in health["checks"].items():
        yield _part(name, check)
    for name, seen in health["upstreams"].items():
        yield _upstream(f"upstream {name}", seen)


def _part(name: str, check: dict[str, str]) -> Finding:
    if check["state"] == "off":
        return Finding(name, "switched off")
    if check["state"] == "ok":
        return Finding(name, f"in order since {_time(check['since'])}")
    return Finding(name, f"out of order since {_time(check['since'])}: {check['why']}; {_ADVICE[name]}", well=False)


def _upstream(name: str, seen: dict[str, str]) -> Finding:
    if seen["state"] == "failing":
        return Finding(name, f"failing since {_time(seen['since'])}: {seen['why']}; {_ADVICE['upstream']}", well=False)
    if seen["state"] == "ok":
        return Finding(name, f"last answered {_time(seen['answered'])}")
    return Finding(name, "nobody has asked it yet")


def _time(text: str) -> str:
    return f"{datetime.fromisoformat(text).astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
