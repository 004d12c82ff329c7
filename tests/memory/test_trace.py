"""What a trace holds, and what it doesn't."""

from __future__ import annotations

import json
import sys
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from proxy.core.context import note_of
from proxy.core.models import Memory, Owner, ScoredMemory, Scores
from proxy.memory.figures import Figures
from proxy.memory.heard import Heard
from proxy.memory.keep_turn import Kept
from proxy.memory.plan import Plan
from proxy.memory.recall import Course, Recalled
from proxy.memory.revision import Fate, Revised
from proxy.memory.selection import LeftOut
from proxy.memory.store import Choice
from proxy.memory.told import Statement, Told
from proxy.memory.trace import MAX_ITEMS, Trace, trace_of
from proxy.memory.turn import Turn
from proxy.memory.witness import Outcome

NOW = datetime(2026, 3, 1, tzinfo=UTC)
ANN = Owner("ann")
SECRET = "canary"
REPORT = {"X-Memory-Status": "ok", "X-Memory-Extract": "inline"}


def memory(id_: str = "", **values: Any) -> Memory:
    return Memory(id_ or str(uuid4()), f"Likes {SECRET} {'tea ' * 500}", NOW, NOW, **values)


def planned(course: Course, *shown: Memory, withdrawn: frozenset[str] = frozenset(), trouble: str | None = None) -> Plan:
    found = Recalled([note_of(each) for each in shown], withdrawn, trouble, course)
    ids = {f"m{n}": each.id for n, each in enumerate(shown, start=2)}
    turn = Turn({}, {"m1": "before", **ids}, tuple(ids.values()), trouble, found)
    return Plan(b"", "t1", "gpt", ANN, report=REPORT, turn=turn)


def heard(*statements: Statement, **told: Any) -> Heard:
    return Heard(ANN, "s", "t1", NOW, told=Told({}, statements=statements, **told))


def weight(value: object, counted: set[int]) -> int:
    """About how many bytes it takes, what it holds twice once."""
    if id(value) in counted:
        return 0
    counted.add(id(value))
    inside: list[object] = []
    if isinstance(value, dict):
        inside = [each for pair in value.items() for each in pair]
    elif isinstance(value, (tuple, list)):
        inside = [*value]
    elif is_dataclass(value):
        inside = [getattr(value, each.name) for each in fields(value)]
    return sys.getsizeof(value) + sum(weight(each, counted) for each in inside)


def everything(*, content: bool) -> Trace:
    """As large as a trace gets."""
    found = [memory() for _ in range(40)]
    course = Course(
        f"{SECRET} " * 999,
        [ScoredMemory(each, 0.5, Scores(0.5, 0.5)) for each in found],
        [Choice(str(uuid4()), 0.0, Scores(0.1)) for _ in range(10)],
        (),
        {each.id: LeftOut("same", str(uuid4())) for each in found},
        {"embed": 0.1},
    )
    withdrawn = frozenset(str(uuid4()) for _ in range(999))
    trace = trace_of(planned(course, *(memory() for _ in range(999)), withdrawn=withdrawn), content=content)
    statements = [Statement(f"{SECRET} " * 300, "semantic", None, ("API key",)) for _ in range(100)]
    told = heard(*statements, unknown=("m9",) * 20, forgotten=withdrawn, blocks=3)
    trace.heard(told)
    fates = tuple(Fate("stored", str(uuid4()), str(uuid4()), tuple(str(uuid4()) for _ in range(20))) for _ in range(100))
    trace.done(Outcome(told, Revised(fates, tuple(withdrawn)), Kept(str(uuid4())), Figures(stored=100)))
    return trace


def test_without_content_there_are_no_words_in_it():
    trace = everything(content=False)
    assert SECRET not in repr(trace) + json.dumps(trace.as_dict())


def test_with_content_there_are():
    tea = memory()
    trace = trace_of(planned(Course(SECRET, [ScoredMemory(tea, 0.5)]), tea), content=True)
    trace.heard(heard(Statement(SECRET, "semantic")))
    rendered = trace.as_dict()
    texts = (
        rendered["recall"]["query"],
        rendered["recall"]["candidates"][0]["content"],
        rendered["recall"]["injected"][0]["text"],
        rendered["answer"]["items"][0]["content"],
    )
    assert texts == (SECRET, tea.content[:500], note_of(tea).line[:500], SECRET)


@pytest.mark.parametrize("content", [False, True])
def test_it_stays_small_whatever_was_said(content: bool):
    trace = everything(content=content)
    assert weight(trace, set()) < 128 * 1024
    assert len(trace.as_dict()["answer"]["items"]) == MAX_ITEMS


def test_what_was_found_shown_and_dropped():
    tea, rain, sun = (memory(name, type=type_) for name, type_ in (("tea", "preference"), ("rain", "semantic"), ("sun", "turn")))
    course = Course(
        "what do I like?",
        [ScoredMemory(each, 0.5, Scores(0.5)) for each in (tea, rain, sun)],
        [Choice("far", 0.0, Scores(0.1))],
        ("tea",),
        {"tea": LeftOut("shown"), "rain": LeftOut("same", "tea"), "far": LeftOut("floor")},
        {"embed": 0.0123456789},
    )
    recall = trace_of(planned(course, tea, sun, withdrawn=frozenset({"before"})), content=False).as_dict()["recall"]
    assert [(each["id"], each["dropped"], each["of"], each["score"]) for each in recall["candidates"]] == [
        ("tea", None, None, 0.5),
        ("rain", "same", "tea", 0.5),
        ("sun", None, None, 0.5),
        ("far", "floor", None, None),
    ]
    assert [(each["id"], each["short_id"], each["part"]) for each in recall["injected"]] == [
        ("tea", "m2", "profile"),
        ("sun", "m3", "turns"),
    ]
    assert recall["tokens"]["profile"] == note_of(tea).tokens
    assert (recall["withdrawn"], recall["shown"], recall["steps_s"]) == (["before"], 1, {"embed": 0.012346})


def test_of_a_late_recall_what_it_had_found_was_not_shown():
    course = Course("tea", [ScoredMemory(memory("tea"), 0.5)])
    recall = trace_of(planned(course, trouble="deadline"), content=False).as_dict()["recall"]
    assert (recall["trouble"], recall["candidates"][0]["dropped"], recall["injected"]) == ("deadline", "late", [])


def test_what_is_given_again_was_not_looked_for():
    plan = Plan(b"", "t1", owner=ANN, report=REPORT, turn=Turn({}, {"m1": "tea"}, ("tea",)))
    recall = trace_of(plan, content=True).as_dict()["recall"]
    assert (recall["again"], recall["query"], recall["tokens"], recall["shown"]) == (True, None, None, 0)
    assert recall["injected"] == [{"id": "tea", "short_id": "m1", "part": None, "tokens": None, "text": None}]


def test_what_became_of_each_item():
    trace = trace_of(Plan(b"", "t1", owner=ANN, report=REPORT), content=True)
    assert trace.as_dict()["recall"] is None
    told = heard(
        Statement("Likes tea", "preference"), Statement("Ha?", "semantic", "question"), Statement("Is ill", "semantic"), blocks=1
    )
    trace.answer.state = "waiting"
    trace.heard(told)
    assert [each["became"] for each in trace.as_dict()["answer"]["items"]] == ["waiting", "refused", "waiting"]
    fates = (Fate("duplicate", "1"), Fate("stored", "2", "3", ("4",)))
    trace.done(Outcome(told, Revised(fates, ("3",)), Kept("5", again=True), Figures(stored=1)))
    answer = trace.as_dict()["answer"]
    assert [(each["content"], each["became"], each["why"], each["id"], each["replaces"]) for each in answer["items"]] == [
        ("Likes tea", "duplicate", None, "1", None),
        ("Ha?", "refused", "question", None, None),
        ("Is ill", "stored", None, "2", "3"),
    ]
    assert (answer["state"], answer["ended"], answer["turn"]) == ("done", ["3"], {"id": "5", "again": True})
    assert (answer["items"][2]["contradicts"], answer["figures"]) == (["4"], {"stored": 1})
