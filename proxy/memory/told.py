"""What the blocks of one answer say, in the form in which it may be stored."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from proxy.core.items import Item, read_block
from proxy.core.poison import neutralise
from proxy.memory.figures import Figures
from proxy.memory.said import Keeping, Said
from proxy.memory.store import digest

MAX_ITEMS = 100
"""Of one answer: each is embedded and compared, and a block has room for sixty thousand."""

# Behind a blank it stands for half a character (``core/items``).
_QUESTION = re.compile(r"\S[?？]\Z")


@dataclass(frozen=True, slots=True)
class Told:
    """*items* by the digest of what they say, the first of those that say the same; *forgotten*: ids of memories.

    An item's ``replaces`` is the id of a memory here. A short id that was not shown means nothing.
    """

    items: dict[str, Item] = field(default_factory=dict)
    forgotten: frozenset[str] = frozenset()

    @property
    def replaced(self) -> frozenset[str]:
        return frozenset(each.replaces for each in self.items.values() if each.replaces is not None)


def listen(said: Said, options: Keeping, figures: Figures) -> Told:
    """What *said* has to say: nothing that it only repeats, no secret, nothing that could leave its line among recalled notes."""
    extracted = [read_block(block) for block in said.blocks]
    figures.malformed += sum(each.malformed for each in extracted)
    told = [item for each in extracted for item in each.items]
    figures.too_many += len(told[MAX_ITEMS:])
    items: dict[str, Item] = {}
    for item in _own_items(said, told[:MAX_ITEMS], figures):
        redacted = options.redact(item.content)
        figures.redacted.update(redacted.kinds)
        content = neutralise(redacted.text)
        if content:
            items.setdefault(digest(content), replace(item, content=content, replaces=said.shown.get(item.replaces or "")))
    return Told(items, frozenset(said.shown[each] for found in extracted for each in found.forget if each in said.shown))


def _own_items(said: Said, told: Sequence[Item], figures: Figures) -> Iterator[Item]:
    for item in told:
        echo = _echo(said, item.content)
        if echo is None:
            yield item
        else:
            figures.echoes[echo] += 1


def _echo(said: Said, content: str) -> str | None:
    """What *content* repeats, where it should state something: a question is the user's of a moment ago, and holds nothing."""
    if _QUESTION.search(content):
        return "question"
    return None if said.foreign is None else said.foreign.echo(content)
