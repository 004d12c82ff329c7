"""The header by which a trace goes through several services (W3C Trace Context): read for the log, and sent on as it came."""

from __future__ import annotations

import re

TRACEPARENT = "traceparent"

_FORM = re.compile(r"(?!ff)([0-9a-f]{2})-((?!0{32})[0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?", re.ASCII)


def trace_id(value: str) -> str | None:
    """The trace's id, 32 hex digits; ``None`` for what is no *traceparent*. Of a later version, more may follow."""
    found = _FORM.fullmatch(value.strip())
    return found[2] if found is not None and (found[3] is None or found[1] != "00") else None
