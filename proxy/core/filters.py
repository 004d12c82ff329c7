"""What every response filter looks like, and the one place that chooses it.

A filter takes the upstream's bytes as the network cut them and returns those that the client gets;
``blocks`` holds the memory blocks that were taken out, complete once ``finish`` has returned.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from proxy.core.blocks import Block
from proxy.core.completion import CompletionFilter
from proxy.core.stream import StreamFilter


class Filter(Protocol):
    blocks: list[Block]
    rewrites: bool
    """The body may leave otherwise than it came, so headers that speak of its bytes can't stay."""
    whole: bool
    """The body is collected, and leaves at once from ``finish``: its length is known before its first byte goes."""

    @property
    def in_block(self) -> bool:
        """A block has begun that is worth reading to its end, even if the client has left."""

    @property
    def holds(self) -> bool:
        """Text waits here that the client may yet get, or a block is under way. Asked for each piece."""

    @property
    def client_done(self) -> bool:
        """The client has all that it will get; what still comes from upstream is only read for blocks."""

    def feed(self, data: bytes) -> bytes: ...
    def finish(self) -> bytes: ...


class Passthrough:
    """Everything as it came."""

    rewrites = False
    whole = False
    in_block = False
    holds = False
    client_done = False

    def __init__(self) -> None:
        self.blocks: list[Block] = []

    def feed(self, data: bytes) -> bytes:
        return data

    def finish(self) -> bytes:
        return b""


@dataclass(frozen=True, slots=True)
class FilterOptions:
    """What the request decided about its answer. *choices*: how many alternatives it asked for."""

    choices: int = 1
    max_block_bytes: int = 256 * 1024
    early_finish: bool = False
    include_usage: bool = False


def choose_filter(status: int, content_type: str, content_encoding: str, options: FilterOptions | None) -> Filter:
    """The filter of one answer. Without *options* the request carried no instruction, and nothing is looked for.

    An answer that came compressed although ``identity`` was asked for can't be read, and goes through as it is.
    """
    if options is None or status != 200 or content_encoding not in ("", "identity"):
        return Passthrough()
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type == "text/event-stream":
        return StreamFilter(
            choices=options.choices,
            max_block_bytes=options.max_block_bytes,
            early_finish=options.early_finish,
            include_usage=options.include_usage,
        )
    if media_type == "application/json" or media_type.endswith("+json"):
        return CompletionFilter(max_block_bytes=options.max_block_bytes)
    return Passthrough()
