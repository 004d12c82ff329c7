"""What one answer told, in the form in which it may be written to a disk: no secret, nothing that is only repeated.

``hear`` makes it of what was said; ``render`` and ``parse`` carry it through the journal.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from proxy.core.chatter import has_content
from proxy.core.echo import Foreign
from proxy.core.frames import without_frames
from proxy.core.items import Item
from proxy.core.models import Owner
from proxy.memory import clock
from proxy.memory.figures import Figures
from proxy.memory.said import Keeping, Said, Spoken
from proxy.memory.store import digest
from proxy.memory.told import Told, listen

MAX_TEXT_CHARS = 4000
MAX_REPLY_CHARS = 2000
MAX_SPEAKER_CHARS = 100

# Secrets are looked for in this much, so that none is cut in half where the text ends.
_READ_CHARS = 8 * MAX_TEXT_CHARS


@dataclass(frozen=True, slots=True)
class Message:
    """The user's message, with its *speaker*'s name and the visible *reply*."""

    text: str
    speaker: str | None = None
    reply: str | None = None


@dataclass(frozen=True, slots=True)
class Heard:
    """What *told* and *message* are of, and *at* what time. *shown*: ids of what the model has seen. *figures*: what was left out.

    *as_of*: the time whose memories are meant; ``None``: those of now. *message*: ``None`` if no turn is to be kept.
    """

    owner: Owner
    conversation: str
    trace: str
    at: datetime
    as_of: datetime | None = None
    model: str | None = None
    shown: frozenset[str] = frozenset()
    told: Told = field(default_factory=Told)
    message: Message | None = None
    figures: Figures = field(default_factory=Figures)


def hear(said: Said, options: Keeping) -> Heard:
    """Read *said*: some milliseconds of work, some hundredths of a second with long tool outputs; on no particular thread."""
    figures = Figures()
    return Heard(
        owner=said.owner,
        conversation=said.conversation,
        trace=said.trace,
        at=said.at or clock.now(),
        as_of=said.at,
        model=said.model,
        shown=frozenset(said.shown.values()),
        told=listen(said, options, figures),
        message=None if said.spoken is None else _message(said.spoken, said.foreign, options, figures),
        figures=figures,
    )


def _message(spoken: Spoken, foreign: Foreign | None, options: Keeping, figures: Figures) -> Message | None:
    def clean(text: str, max_chars: int) -> str:
        redacted = options.redact(without_frames(text[:_READ_CHARS]))
        figures.redacted.update(redacted.kinds)
        return redacted.text[:max_chars].encode("utf-8", "replace").decode().strip()

    text = clean(spoken.text, MAX_TEXT_CHARS)
    if foreign is not None:
        # Behind the redaction, which could not see a secret of which one half is cut out.
        text = foreign.own_words(text).strip()
    if not has_content(text):
        return None
    speaker = clean(spoken.speaker or "", MAX_SPEAKER_CHARS)
    return Message(text, speaker or None, clean(spoken.reply(), MAX_REPLY_CHARS) or None)


def render(heard: Heard) -> str:
    """As JSON, in ASCII: a name can hold half a surrogate pair."""
    return json.dumps(
        {
            "owner": asdict(heard.owner),
            "conversation": heard.conversation,
            "trace": heard.trace,
            "at": heard.at.isoformat(),
            "as_of": heard.as_of and heard.as_of.isoformat(),
            "model": heard.model,
            "shown": sorted(heard.shown),
            "items": [asdict(each) for each in heard.told.items.values()],
            "forgotten": sorted(heard.told.forgotten),
            "message": heard.message and asdict(heard.message),
            "figures": heard.figures.as_dict(),
        }
    )


def parse(text: str) -> Heard:
    """What ``render`` made; ``ValueError`` for anything else."""
    try:
        return _heard(json.loads(text))
    except (KeyError, TypeError, AttributeError) as exc:
        raise ValueError(f"not what the journal holds: {exc!r}") from exc


def _heard(value: Mapping[str, Any]) -> Heard:
    items = [Item(**each) for each in value["items"]]
    return Heard(
        owner=Owner(**value["owner"]),
        conversation=value["conversation"],
        trace=value["trace"],
        at=datetime.fromisoformat(value["at"]),
        as_of=value["as_of"] and datetime.fromisoformat(value["as_of"]),
        model=value["model"],
        shown=frozenset(value["shown"]),
        told=Told({digest(each.content): each for each in items}, frozenset(value["forgotten"])),
        message=value["message"] and Message(**value["message"]),
        figures=_figures(value["figures"]),
    )


def _figures(value: Mapping[str, Any]) -> Figures:
    counts: dict[str, Any] = {name: Counter(count) if isinstance(count, dict) else count for name, count in value.items()}
    return Figures(**counts)
