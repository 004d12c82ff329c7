"""What a running proxy says of itself, for ``doctor --url``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

import orjson

from proxy.errors import MemoryProxyError

_TIMEOUT_S = 10.0
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


def examine(url: str, token: str | None) -> Iterator[Finding]:
    """Ask the proxy at *url* how it is, its upstreams included; *token* is ``auth.admin_token``."""
    try:
        body = _ready(url, token)
    except MemoryProxyError as exc:
        yield Finding("proxy", str(exc), well=False)
        return
    yield Finding("proxy", f"{url} answers")
    for name, check in body["checks"].items():
        yield _part(name, check)
    for name, seen in body["upstreams"].items():
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


def _ready(url: str, token: str | None) -> dict[str, Any]:
    """The body of ``/health/ready``. Raises ``MemoryProxyError`` for whatever is not one."""
    try:
        body = orjson.loads(_get(url, token))
    except (OSError, HTTPException) as exc:
        reason = getattr(exc, "strerror", None) or str(exc) or type(exc).__name__
        raise MemoryProxyError(f"{url}: {reason}; start it, or correct --url") from exc
    except orjson.JSONDecodeError:
        body = None
    if not isinstance(body, dict) or not {"checks", "upstreams"} <= body.keys():
        raise MemoryProxyError(f"{url}: what answers is no memory-proxy of this version; correct --url")
    return body


def _get(url: str, token: str | None) -> bytes:
    parts = urlsplit(url)
    connect = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    with closing(connect(parts.hostname or "", parts.port, timeout=_TIMEOUT_S)) as connection:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        connection.request("GET", f"{parts.path.rstrip('/')}/health/ready", headers=headers)
        return connection.getresponse().read()
