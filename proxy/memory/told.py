"""What the blocks of one answer say, in the form in which it may be stored."""

from __future__ import annotations

import re
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
_SHORT_ID = re.compile(r"m\d{1,6}", re.ASCII)
_MAX_UNKNOWN = 20


@dataclass(frozen=True, slots=True)
class Statement:
    """An item as a block has it, without secrets, and what was made of it at once.

    *refused*: why it is none of ``Told.items``: what it echoes, ``question``, ``empty``, or ``again``, as an item before it says the
    same. *unknown*: the short id that it is said to correct, if that was not shown; ``?`` if it can't be one.
    """

    content: str
    type: str
    refused: str | None = None
    redacted: tuple[str, ...] = ()
    unknown: str | None = None

    @property
    def without_content(self) -> Statement:
        return replace(self, content="")


@dataclass(frozen=True, slots=True)
class Told:
    """*items* by the digest of what they say, the first of those that say the same; *forgotten*: ids of memories.

    An item's ``replaces`` is the id of a memory here. A short id that was not shown means nothing.
    For whoever wants to know what became of it: how many *blocks* there were, their *statements*, of which those that were not
    refused are the items, in their order, and *unknown*: short ids that were to be forgotten and were not shown.
    None of that goes through the journal.
    """

    items: dict[str, Item] = field(default_factory=dict)
    forgotten: frozenset[str] = frozenset()
    blocks: int = field(default=0, compare=False, repr=False)
    statements: tuple[Statement, ...] = field(default=(), compare=False, repr=False)
    unknown: tuple[str, ...] = field(default=(), compare=False, repr=False)

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
    statements = tuple(_listen(said, item, options, figures, items) for item in told[:MAX_ITEMS])
    forget = dict.fromkeys(each for found in extracted for each in found.forget)
    return Told(
        items,
        frozenset(said.shown[each] for each in forget if each in said.shown),
        len(extracted),
        statements,
        tuple(_short_id(each) for each in forget if each not in said.shown)[:_MAX_UNKNOWN],
    )


def _listen(said: Said, item: Item, options: Keeping, figures: Figures, items: dict[str, Item]) -> Statement:
    """Puts *item* among *items*, if it says something of its own."""
    echo = _echo(said, item.content)
    redacted = options.redact(item.content)
    content = neutralise(redacted.text)
    refused = echo or ("again" if digest(content) in items else None if content else "empty")
    if echo is None:
        figures.redacted.update(redacted.kinds)
    else:
        figures.echoes[echo] += 1
    if refused is None:
        items[digest(content)] = replace(item, content=content, replaces=said.shown.get(item.replaces or ""))
    unknown = None if item.replaces is None or item.replaces in said.shown else _short_id(item.replaces)
    return Statement(content, item.type, refused, redacted.kinds, unknown)


def _short_id(text: str) -> str:
    """Whatever else a model writes there may be somebody's words."""
    return text if _SHORT_ID.fullmatch(text) else "?"


def _echo(said: Said, content: str) -> str | None:
    """What *content* repeats, where it should state something: a question is the user's of a moment ago, and holds nothing."""
    if _QUESTION.search(content):
        return "question"
    return None if said.foreign is None else said.foreign.echo(content)
