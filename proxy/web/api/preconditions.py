"""``If-Match`` and ``If-None-Match`` (RFC 9110, 13.1): two who edit the same don't overwrite each other."""

from __future__ import annotations

import re

from aiohttp import web

from proxy.core.models import Memory
from proxy.errors import HasChanged
from proxy.memory.curation import Check
from proxy.web.api.operation import IF_MATCH, IF_NONE_MATCH, Call
from proxy.web.api.rendering import etag

_TAG = re.compile(r'\*|(?:W/)?"[^"]*"')
_WEAK = "W/"


def precondition(call: Call) -> Check:
    """Raises ``HasChanged`` unless what there is fits what the caller expects."""
    expected, unexpected = _tags(call, IF_MATCH), _tags(call, IF_NONE_MATCH)

    def check(memory: Memory | None) -> None:
        if expected is not None and not _is_among(expected, memory):
            raise HasChanged("It is not, or no longer, what was read: read it again, and decide anew.", param=IF_MATCH)
        if unexpected is not None and _is_among(_strong(unexpected), memory):
            raise HasChanged("It is there already.", param=IF_NONE_MATCH)

    return check


def not_modified(call: Call, memory: Memory) -> web.Response | None:
    """The answer to who has *memory* as it is."""
    known = _tags(call, IF_NONE_MATCH)
    if known is None or not _is_among(_strong(known), memory):
        return None
    return web.Response(status=304, headers={"ETag": etag(memory)})


def _tags(call: Call, name: str) -> list[str] | None:
    given = call.header(name)
    return None if given is None else _TAG.findall(given)


def _strong(tags: list[str]) -> list[str]:
    """``If-None-Match`` compares weakly, ``If-Match`` does not: there a weak tag is never ours."""
    return [each.removeprefix(_WEAK) for each in tags]


def _is_among(tags: list[str], memory: Memory | None) -> bool:
    return memory is not None and ("*" in tags or etag(memory) in tags)
