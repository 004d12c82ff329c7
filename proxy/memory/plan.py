"""From one chat request to what goes upstream, what is looked for in the answer, and what the client is told about both."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate

from proxy.config import Extract, Recall
from proxy.core.blocks import Block
from proxy.core.echo import Foreign
from proxy.core.filters import FilterOptions
from proxy.core.identity import USER_HEADER, IdentityError, Mode, read_owner, read_session
from proxy.core.models import Owner
from proxy.core.request import ChatRequest
from proxy.memory.remember import Said, Spoken
from proxy.memory.turn import Turn, Turns

_SYSTEM_ROLES = ("system", "developer")
_TOOL_ROLES = ("tool", "function")


@dataclass(frozen=True, slots=True)
class Plan:
    """*body* goes upstream; *answer* says how to read what comes back, ``None``: not at all. *report*: the response headers.

    *shown*, *foreign* and *spoken* go to ``Remember`` with the answer. *turn*: what the message was given; ``None``: it was not to be.
    """

    body: bytes
    trace: str
    model: str | None = None
    owner: Owner | None = None
    session: str | None = None
    answer: FilterOptions | None = None
    shown: Mapping[str, str] = field(default_factory=dict)
    foreign: Foreign | None = None
    spoken: Spoken | None = None
    report: Mapping[str, str] = field(default_factory=dict)
    turn: Turn | None = field(default=None, compare=False, repr=False)

    @property
    def given(self) -> Turn:
        """What the message was given, which may be nothing."""
        return self.turn or Turn()

    def said(self, blocks: Sequence[Block], reply: Callable[[], str]) -> Said | None:
        """What is to be remembered of the answer to this request; ``None``: nothing, as it is nobody's."""
        if self.owner is None:
            return None
        return Said(
            self.owner,
            self.session,
            self.trace,
            blocks,
            shown=self.shown,
            model=self.model,
            foreign=self.foreign,
            spoken=self.spoken and replace(self.spoken, reply=reply),
        )


class Planner:
    """Makes plans. *instruction* is the same for all requests, so that providers' prompt caches keep working."""

    def __init__(self, turns: Turns, recall: Recall, extract: Extract, *, instruction: str, default_user: str) -> None:
        self._turns = turns
        self._recall = recall
        self._extract = extract
        self._instruction = instruction
        self._default_user = default_user

    async def plan(self, headers: Mapping[str, str], mode: Mode, body: bytes, *, tenant: str) -> Plan:
        """For a user of *tenant*. Raises ``IdentityError`` for a user or session header that names nobody.

        A bad name in the body only costs the memories.
        """
        trace = uuid.uuid4().hex
        session = read_session(headers)
        request = ChatRequest.parse(body)
        if request is None:
            return _untouched(body, trace, None, None, reason="unreadable")
        try:
            owner = read_owner(headers, request.value, default_user=self._default_user, tenant=tenant)
        except IdentityError as exc:
            if exc.source == USER_HEADER:
                raise
            return _untouched(body, trace, request.model, Turn(trouble="user"), reason="user")
        session = session or request.session
        recalls = mode.recalls and self._recall.enabled
        turn = await self._turns.prepare(owner, request, session) if recalls else Turn()
        skipped = self._reason_to_skip(request, mode)
        return Plan(
            body=request.edited(turn.contexts, None if skipped else self._instruction),
            trace=trace,
            model=request.model,
            owner=owner,
            session=session,
            answer=None if skipped else self._filter_options(request),
            shown=turn.ids,
            foreign=None if skipped else self._foreign(request, turn),
            spoken=self._spoken(request, mode, skipped),
            report=_report(turn, skipped, trace),
            turn=turn if recalls else None,
        )

    def _reason_to_skip(self, request: ChatRequest, mode: Mode) -> str | None:
        if not mode.extracts:
            return "mode"
        if not self._extract.enabled:
            return "disabled"
        return request.harm_of_instruction(
            min_output_tokens=self._extract.min_output_tokens, max_choices=self._extract.max_choices
        )

    def _foreign(self, request: ChatRequest, turn: Turn) -> Foreign:
        return Foreign(
            instruction=self._instruction,
            recalled=tuple(turn.contexts.values()),
            system=request.texts_of(*_SYSTEM_ROLES),
            tools=request.texts_of(*_TOOL_ROLES),
            said=request.texts_of("user"),
            tools_before=_tools_before(request),
        )

    def _spoken(self, request: ChatRequest, mode: Mode, skipped: str | None) -> Spoken | None:
        """The user's message, unless it is not to be kept. What wants an answer in a form of its own is an app's, not a person's."""
        latest = request.latest_user
        if latest is None or not (self._recall.keep_turns and mode.extracts) or skipped not in (None, "disabled"):
            return None
        name = request.messages[latest].get("name")
        return Spoken(request.text(latest), name if isinstance(name, str) else None)

    def _filter_options(self, request: ChatRequest) -> FilterOptions:
        return FilterOptions(
            choices=request.choices,
            max_block_bytes=self._extract.max_block_bytes,
            early_finish=self._extract.early_finish and request.choices == 1 and not request.has_tools,
            include_usage=request.wants_usage_chunk,
        )


def _tools_before(request: ChatRequest) -> tuple[int, ...]:
    """Of each message of the user's, how many tool outputs came before it."""
    counts = list(accumulate(int(each.get("role") in _TOOL_ROLES) for each in request.messages))
    return tuple(counts[i] for i in request.user_messages)


def _report(turn: Turn, skipped: str | None, trace: str) -> dict[str, str]:
    return {
        "X-Memory-Status": _status(turn, "ok"),
        "X-Memory-Recalled": str(len(turn.recalled)),
        **({"X-Memory-Ids": ",".join(turn.recalled)} if turn.recalled else {}),
        "X-Memory-Extract": f"skipped; reason={skipped}" if skipped else "inline",
        "X-Memory-Trace": trace,
    }


def _status(turn: Turn, otherwise: str) -> str:
    return f"degraded; reason={turn.trouble}" if turn.trouble else otherwise


def _untouched(body: bytes, trace: str, model: str | None, turn: Turn | None, *, reason: str) -> Plan:
    report = {
        "X-Memory-Status": _status(turn or Turn(), "off"),
        "X-Memory-Extract": f"skipped; reason={reason}",
        "X-Memory-Trace": trace,
    }
    return Plan(body=body, trace=trace, model=model, report=report, turn=turn)
