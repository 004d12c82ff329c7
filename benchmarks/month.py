"""What is stored after a month of chats with a careless model: how much of it is junk, and whether a secret is in any file.

Everything goes through the whole proxy. The scripted model repeats the notes that it was shown as if they were new, says known
facts in other words, and writes down tool outputs, system prompts, the instruction and secrets (``benchmarks/month_data.py``).

Junk is a row that says what another says, an echo of what is not the user's own (the instruction, recalled notes, the system
prompt, a tool's output), or a secret. For memories the generator knows what each statement means; a turn is another's
duplicate if it has the same letters and digits.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks.chats import Chats, Dictated, Message, Shown, assistant, block, chats, latest, shown, system, user
from benchmarks.month_data import DAYS, USERS, Conversation, Month, Step
from benchmarks.rows import Effort, Row, alone, once
from proxy import resources
from proxy.core.models import TURN, Memory
from proxy.memory.store import digest

_ECHO_CHARS = 40
"""As much of a foreign text, word for word, makes a row an echo."""


def month(effort: Effort) -> Iterator[Row]:
    yield from asyncio.run(_rows(max(2, effort.of(DAYS))))


async def _rows(days: int) -> list[Row]:
    model = Dictated()
    async with chats(model) as running:
        judged = [await _lived(running, model, Month(name, days)) for name in USERS]
        secrets = [secret for each in judged for secret in each.secrets]
        leaked = _in_files(running.folder, secrets, control=[fact for each in judged for fact in each.kept_facts])
    return _figures(days, judged, leaked)


@dataclass(slots=True)
class Judged:
    """What is stored of one user. *junk* by what is wrong with it; *retold*: turns that tell an old fact in other words."""

    secrets: list[str]
    memories: int = 0
    turns: int = 0
    junk: list[tuple[str, Memory]] = field(default_factory=list)
    kept_facts: list[str] = field(default_factory=list)
    lost_facts: int = 0
    retold: int = 0


async def _lived(running: Chats, model: Dictated, month: Month) -> Judged:
    diary = _Diary()
    for conversation in month.conversations():
        await diary.live(running, model, month.user, conversation)
    return _judge(
        diary,
        month.secrets,
        memories=await running.kept(month.user),
        turns=await running.kept(month.user, types=(TURN,)),
    )


class _Diary:
    """Has one user's conversations, and notes what everything that the model wrote means."""

    def __init__(self) -> None:
        self.facts: dict[str, int] = {}
        self.foreign: set[str] = set(resources.prompt("extract").splitlines())
        self.retold: set[str] = set()

    async def live(self, running: Chats, model: Dictated, name: str, conversation: Conversation) -> None:
        messages, seen = [system(conversation.system)], ""
        self.foreign.add(conversation.system)
        for step in conversation.steps:
            self._note(step)
            model.says = self._answer(step)
            notes, _, _ = seen.rpartition("</recalled_notes>")
            messages += [
                user(f"{notes}</recalled_notes>\n{step.text}" if step.quotes and notes else step.text),
                *_used(step.tool),
            ]
            answer = await running.say(name, conversation.session, messages)
            messages.append(assistant(answer))
            seen = latest(running.model.seen[-1]["messages"])

    def _note(self, step: Step) -> None:
        self.facts |= {digest(each.content): each.fact for each in step.written if each.fact is not None}
        if step.tool is not None:
            self.foreign.add(step.tool)
        if step.retells:
            self.retold.add(_letters(step.text))

    def _answer(self, step: Step) -> Callable[[list[Message]], str]:
        def answer(messages: list[Message]) -> str:
            notes = shown(messages)
            items = [*(each.content for each in step.written), *(_parroted(notes) if step.parrots else ())]
            return f"{step.reply}\n\n{block([{'content': item} for item in items])}"

        return answer


def _used(tool: str | None) -> list[Message]:
    """The messages of a tool that was called and said *tool*."""
    if tool is None:
        return []
    call = {"id": "call_1", "type": "function", "function": {"name": "find_order", "arguments": "{}"}}
    return [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": tool},
    ]


def _parroted(notes: Sequence[Shown]) -> Iterator[str]:
    """What was shown, word for word and a little changed."""
    for i, note in enumerate(notes):
        text = note.text.partition(" | ")[0]
        yield text if i % 2 else f"The user mentioned before: {text}"


def _judge(diary: _Diary, secrets: list[str], *, memories: Sequence[Memory], turns: Sequence[Memory]) -> Judged:
    judged = Judged(secrets, len(memories), len(turns))
    judged.junk += _judged_memories(memories, diary.facts, secrets)
    judged.junk += _judged_turns(turns, diary.foreign, secrets)
    judged.kept_facts = [row.content for row in memories if digest(row.content) in diary.facts]
    kept = {diary.facts[digest(each)] for each in judged.kept_facts}
    judged.lost_facts = len(set(diary.facts.values()) - kept)
    judged.retold = sum(_letters(row.content) in diary.retold for row in turns)
    return judged


def _judged_memories(rows: Sequence[Memory], facts: Mapping[str, int], secrets: Sequence[str]) -> Iterator[tuple[str, Memory]]:
    met: set[object] = set()
    for row in rows:
        redacted = "[redacted" in row.content
        meaning: object = _letters(row.content) if redacted else facts.get(digest(row.content))
        if any(secret in row.content for secret in secrets):
            yield "secret", row
        elif meaning is None:
            yield "echo", row
        elif meaning in met:
            yield "duplicate", row
        met.add(meaning)


def _judged_turns(rows: Sequence[Memory], foreign: Collection[str], secrets: Sequence[str]) -> Iterator[tuple[str, Memory]]:
    met: set[str] = set()
    for row in rows:
        if any(secret in f"{row.content}\n{row.reply}" for secret in secrets):
            yield "secret", row
        elif "recalled_notes" in row.content or any(_quotes(row.content, text) for text in foreign):
            yield "echo", row
        elif _letters(row.content) in met:
            yield "duplicate", row
        met.add(_letters(row.content))


def _quotes(content: str, text: str) -> bool:
    """A long stretch from the middle of *text*: its ends may have been cut or redacted."""
    middle = text[max(0, len(text) // 2 - _ECHO_CHARS) :][:_ECHO_CHARS]
    return len(text) >= 2 * _ECHO_CHARS and middle in content


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text.casefold()))


def _in_files(folder: Path, secrets: Sequence[str], *, control: Sequence[str]) -> list[str]:
    """Those of *secrets* that are in the bytes of any file, the write-ahead log included."""
    data = b"\0".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())
    if not any(each.encode() in data for each in control):
        raise RuntimeError(f"nothing of what is stored is to be seen in the files of {folder}, so what is not means nothing")
    return [secret for secret in secrets if secret.encode() in data]


def _figures(days: int, judged: Sequence[Judged], leaked: Sequence[str]) -> list[Row]:
    memories, turns = sum(each.memories for each in judged), sum(each.turns for each in judged)
    junk = [each for user in judged for each in user.junk]
    of_memories = [each for each in junk if not each[1].is_turn]
    figure = f"{days} days of {len(judged)} users"
    return [
        _share(f"{figure}: junk among {memories + turns} memories and turns", junk, memories + turns),
        _share(f"{figure}: junk among {memories} memories", of_memories, memories),
        once(f"{figure}: secrets in files", len(leaked), form=".0f", at_most=0),
        once(f"{figure}: facts lost", sum(each.lost_facts for each in judged), form=".0f", at_most=0),
        once(f"{figure}: turns that tell an old fact in other words", sum(each.retold for each in judged), form=".0f"),
    ]


def _share(figure: str, junk: Sequence[tuple[str, Memory]], rows: int) -> Row:
    row = once(figure, 100 * len(junk) / rows, unit="%", form=".1f", at_most=1)
    kinds = ", ".join(f"{count} {kind}" for kind, count in Counter(kind for kind, _ in junk).items())
    return replace(row, measured=f"{row.measured}: {kinds}" if kinds else row.measured)


if __name__ == "__main__":
    alone("month", month)
