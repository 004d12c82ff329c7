"""How much of a request the upstream has seen before: what its prompt cache can spare, over a long chat with recall.

The chat goes through the proxy, and what arrives behind it is compared with what arrived a turn before. The emulations get
the same conversation and, for each message, what the proxy recalls for it in a new conversation.

The measure: the messages array in order, each message as its role and its content; the characters that two successive
requests begin with in common, by the length of the shorter. Fields beside the messages are no part of it.
"""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from benchmarks.chats import Chats, Message, assistant, block, chats, latest, system, user
from benchmarks.rows import Effort, Row, alone, once

TURNS = 50
USER = "ann"
SYSTEM = system("You are a helpful assistant. " + "Answer briefly, and say so when you are not sure. " * 20)

_KNOWN = (
    "My {} is called {}.|What was the name of my {} again, and what could I give them for their birthday?",
    (("sister", "Clara"), ("brother", "Tomás"), ("manager", "Ingrid"), ("dentist", "Dr. Weiss"), ("dog", "Biscuit"),
     ("neighbour", "Olu"), ("trainer", "Samira"), ("landlord", "Mr. Novak"), ("cat", "Miso"), ("uncle", "Ferran")),
    "I prefer {1} for {0}.|Which tool would you suggest for {0}?",
    (("backend work", "Python"), ("frontend work", "TypeScript"), ("data analysis", "DuckDB"), ("command-line tools", "Go"),
     ("drawing diagrams", "Graphviz"), ("taking notes", "Obsidian"), ("editing photos", "Darktable"),
     ("mixing audio", "Ardour"), ("writing letters", "LaTeX"), ("project planning", "a paper notebook")),
    "I am allergic to {}, found out in {}.|Is there anything with {} in it that I should avoid at a dinner?",
    (("peanuts", "2019"), ("penicillin", "2020"), ("shellfish", "2021"), ("pollen", "2009"), ("latex", "2015")),
    "My trip to {} is planned for {}.|What should I pack for {}?",
    (("Norway", "June"), ("Kyoto", "April"), ("Lisbon", "May"), ("Iceland", "August"), ("Peru", "October"),
     ("Prague", "December"), ("Delhi", "February"), ("Oslo", "January"), ("Rome", "March"), ("Hanoi", "November")),
    "My favorite {} is {}.|Can you recommend another {} that I may like?",
    (("film", "Spirited Away"), ("book", "Dune"), ("dish", "ramen"), ("band", "Radiohead"), ("board game", "Azul"),
     ("painter", "Vermeer"), ("podcast", "99% Invisible"), ("museum", "the Prado"), ("tea", "Assam"), ("season", "autumn")),
    "I play the {} in a group called {}.|How often should I practise the {} before the next concert?",
    (("cello", "Lower Strings"), ("trumpet", "Brass Tacks"), ("piano", "Trio Nord"), ("guitar", "The Hedges"), ("flute", "Air")),
)  # fmt: skip


def _told() -> list[tuple[str, str]]:
    """What the user tells, and the question about it, ``TURNS`` times."""
    return [
        tuple(part.format(*values) for part in forms.split("|"))  # type: ignore[misc]
        for forms, all_values in zip(_KNOWN[::2], _KNOWN[1::2], strict=True)
        for values in all_values
    ]


def prefix(effort: Effort) -> Iterator[Row]:
    yield from asyncio.run(_rows(max(3, effort.of(TURNS))))


async def _rows(turns: int) -> list[Row]:
    told = _told()
    told = [told[(7 * i) % len(told)] for i in range(turns)]  # so that no turn is about the same as the one before
    async with chats(_answer) as running:
        await _tell(running, [statement for statement, _ in told])
        questions = [question for _, question in told]
        found = [await _recalled_alone(running, question) for question in questions]
        plain, ours = await _chat(running, questions)
    emulated = {name: [emulate(each, found[i]) for i, each in enumerate(plain)] for name, emulate in EMULATIONS.items()}
    shown = sum(latest(each) != question for each, question in zip(ours, questions, strict=True))
    return [
        *_figures("memory-proxy", ours, bar=0.99),
        once(f"memory-proxy: of {turns} turns, those that were given something", shown, form=".0f"),
        *(row for name, requests in emulated.items() for row in _figures(name, requests)),
    ]


def _answer(messages: list[Message]) -> str:
    """What is told is remembered, all else gets an answer of two sentences."""
    text = latest(messages).rpartition("</recalled_notes>")[2].strip()
    if text.endswith("?"):
        return f"That depends. Let me think about it: {text[:40]} …\n\n1. Start early.\n2. Ask again when you know more."
    return "I'll keep that in mind.\n\n" + block([{"content": text.replace("My ", "The user's ").replace("I ", "The user ")}])


async def _tell(running: Chats, statements: Sequence[str]) -> None:
    for i, statement in enumerate(statements):
        await running.say(USER, f"before-{i}", [SYSTEM, user(statement)])


async def _recalled_alone(running: Chats, question: str) -> str:
    """What is put before *question* in a conversation of its own."""
    await running.say(USER, "alone", [SYSTEM, user(question)], mode="read")
    return latest(running.model.seen[-1]["messages"]).removesuffix(question)


async def _chat(running: Chats, questions: Sequence[str]) -> tuple[list[list[Message]], list[list[Message]]]:
    """The messages of each request: as the client sent them, and as they came out of the proxy."""
    messages, plain, ours = [SYSTEM], [], []
    for question in questions:
        messages = [*messages, user(question)]
        plain.append(messages)
        messages = [*messages, assistant(await running.say(USER, "the chat", messages, stream=True))]
        ours.append(running.model.seen[-1]["messages"])
    return plain, ours


def _before(messages: Sequence[Message], place: int, context: str) -> list[Message]:
    changed = {**messages[place], "content": context + messages[place]["content"]}
    return [*messages[:place], changed, *messages[place + 1 :]]


def _first_user_message(messages: Sequence[Message], context: str) -> list[Message]:
    return _before(messages, 1, context)


def _system_prompt(messages: Sequence[Message], context: str) -> list[Message]:
    return [system(f"{messages[0]['content']}\n\n{context}"), *messages[1:]]


def _tail(messages: Sequence[Message], context: str) -> list[Message]:
    return _before(messages, len(messages) - 1, context)


EMULATIONS: dict[str, Callable[[Sequence[Message], str], list[Message]]] = {
    "first-user-message injection": _first_user_message,
    "system prompt of each turn's own": _system_prompt,
    "tail without replay": _tail,
}


def _figures(name: str, requests: Sequence[Sequence[Message]], bar: float | None = None) -> list[Row]:
    shares = [common(earlier, later) for earlier, later in pairwise(requests)]
    figure = f"{name}: common prefix of successive requests"
    return [
        once(f"{figure}, mean", statistics.fmean(shares), at_least=bar),
        once(f"{figure}, least", min(shares), at_least=bar),
    ]


def common(one: Sequence[Message], other: Sequence[Message]) -> float:
    """The share of the shorter request that both begin with."""
    a, b = _serialised(one), _serialised(other)
    shorter = min(len(a), len(b))
    return next((i for i in range(shorter) if a[i] != b[i]), shorter) / shorter


def _serialised(messages: Sequence[Message]) -> str:
    return "".join(f"{each['role']}\n{each['content']}\n" for each in messages)


if __name__ == "__main__":
    alone("prefix", prefix)
