"""For schemathesis: a text that it makes is sent as the content of an imported memory, and anything else as it is."""

from __future__ import annotations

import json
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
    """JSON Schema can't say of any value that whole numbers in it have 64 bits at most."""
    if isinstance(body, dict):
        return all(filter_body(_, each) for each in body.values())
    if isinstance(body, list):
        return all(filter_body(_, each) for each in body)
    return not isinstance(body, int) or -(2**63) <= body < 2**63
