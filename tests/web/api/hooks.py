"""For schemathesis: a text that it makes is sent as the content of an imported memory, and anything else as it is."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any
from uuid import NAMESPACE_OID, uuid5

import schemathesis

RECORD = {
    "user": "import",
    "category": "fact",
    "type": "semantic",
    "importance": 0.5,
    "session": None,
    "scope": "user",
    "metadata": {},
    "created_at": "2026-03-01T12:00:00Z",
    "updated_at": "2026-03-01T12:00:00Z",
    "valid_from": "2026-03-01T12:00:00Z",
    "valid_until": None,
    "replaces": None,
    "conflicts": [],
    "access_count": 0,
    "last_accessed_at": None,
    "source": "chat",
}


@schemathesis.serializer("application/x-ndjson")
def lines(_: Any, value: Any) -> bytes:
    if not isinstance(value, str):
        return json.dumps(value, default=str).encode()
    content = value.replace("\x00", "") or "empty"
    return json.dumps({**RECORD, "id": str(uuid5(NAMESPACE_OID, content)), "content": content}).encode()


@schemathesis.hook
def filter_body(_: Any, body: Any) -> bool:
    """What JSON Schema can't say: whole numbers have 64 bits at most, and what ends does so after its begin."""
    if isinstance(body, dict):
        return not _ends_before_it_begins(body) and all(filter_body(_, each) for each in body.values())
    if isinstance(body, list):
        return all(filter_body(_, each) for each in body)
    return not isinstance(body, int) or -(2**63) <= body < 2**63


def _ends_before_it_begins(memory: dict[str, Any]) -> bool:
    try:
        begin, end = [datetime.fromisoformat(memory[name]) for name in ("valid_from", "valid_until")]
    except (KeyError, TypeError, ValueError):
        return False
    return end < begin
