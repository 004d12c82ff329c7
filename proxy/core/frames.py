"""A user's message without what is ours in it: clients paste answers back, and some send on what an upstream was sent."""

from __future__ import annotations

import re

from proxy.core.blocks import BlockScanner

_NOTES_END = "</recalled_notes>"
_NOTES = re.compile(rf"<recalled_notes>.*?{_NOTES_END}", re.DOTALL)
_EMPTY_LINES = re.compile(r"\n{3,}")


def without_frames(text: str) -> str:
    """*text* as it may be kept: no recalled notes, no memory blocks, no needless blank space."""
    return _tidy(_without_blocks(_without_notes(text)))


def _without_notes(text: str) -> str:
    # Up to the last end, so that no beginning is without one: each would be looked for through the whole text.
    framed, end, rest = text.rpartition(_NOTES_END)
    return _NOTES.sub("", framed + end) + rest


def _without_blocks(text: str) -> str:
    if "<" not in text:
        return text
    scanner = BlockScanner()
    scanner.feed(text)
    scanner.finish()
    return scanner.take(text)


def _tidy(text: str) -> str:
    return _EMPTY_LINES.sub("\n\n", "\n".join(line.rstrip() for line in text.split("\n"))).strip("\n")
