"""From one request to what goes upstream, and what the client is told."""

import json
from dataclasses import replace
from typing import Any

import pytest
from multidict import CIMultiDict

from proxy import config
from proxy.core.blocks import Block
from proxy.core.echo import Foreign
from proxy.core.filters import FilterOptions
from proxy.core.identity import IdentityError, Mode
from proxy.core.models import Owner
from proxy.errors import EmbedError
from proxy.memory.plan import Plan, Planner
from proxy.memory.recall import Recall
from proxy.memory.remember import Keeping, Remember, Said, Spoken
from proxy.memory.replay import Replay
from proxy.memory.turn import Turns

CHAT = {"model": "m", "messages": [{"role": "user", "content": "tea"}]}
INSTRUCTED = {"role": "system", "content": "Remember."}


def body(**fields: Any) -> bytes:
    return json.dumps(CHAT | fields).encode()


class Planning:
    """A planner, and what its user is remembered to like: tea."""

    def __init__(self, edge, embedder, owner: Owner) -> None:
        self.owner = owner
        self.embedder = embedder
        self._edge = edge
        self.recall = config.Recall()
        self.extract = config.Extract()

    async def plan(self, data: bytes | None = None, mode: Mode = Mode.FULL, **headers: str) -> Plan:
        named = {f"X-Memory-{name}": value for name, value in {"User": self.owner.user, **headers}.items()}
        turns = Turns(Recall(self._edge, self.embedder, replace(self.recall, deadline_ms=30_000)), Replay())
        planner = Planner(turns, self.recall, self.extract, instruction="Remember.", default_user="default")
        return await planner.plan(CIMultiDict(named), mode, data or body(), tenant=self.owner.tenant)


@pytest.fixture
async def planning(edge, embedder, ann) -> Planning:
    async with Remember(edge, embedder, options=Keeping(), queue_size=1, grace_s=30).running() as remember:
        remember.submit(Said(ann, None, "t", [Block('["Likes tea"]')]))
    return Planning(edge, embedder, ann)


def messages(plan: Plan) -> list[Any]:
    return json.loads(plan.body)["messages"]  # type: ignore[no-any-return]


async def test_the_full_mode_recalls_and_extracts(planning, edge):
    plan = await planning.plan()
    [memory] = await edge.list(planning.owner, limit=9)
    system, user = messages(plan)
    assert system == INSTRUCTED
    assert user["content"].startswith("<recalled_notes>")
    assert user["content"].endswith(f"[m1] (fact, {memory.created_at:%Y-%m-%d}) Likes tea\n</recalled_notes>\n\ntea")
    assert replace(plan, body=b"") == Plan(
        body=b"",
        trace=plan.trace,
        model="m",
        owner=planning.owner,
        session=plan.session,
        answer=FilterOptions(),
        shown={"m1": memory.id},
        foreign=Foreign(
            "Remember.", recalled=(user["content"].removesuffix("tea"),), system=[], tools=[], said=["tea"], tools_before=(0,)
        ),
        spoken=Spoken("tea"),
        report={
            "X-Memory-Status": "ok",
            "X-Memory-Recalled": "1",
            "X-Memory-Ids": memory.id,
            "X-Memory-Extract": "inline",
            "X-Memory-Trace": plan.trace,
        },
    )


async def test_reading_leaves_the_answer_alone(planning):
    plan = await planning.plan(mode=Mode.READ)
    assert (plan.answer, plan.report["X-Memory-Extract"]) == (None, "skipped; reason=mode")
    assert [each["role"] for each in messages(plan)] == ["user"]
    assert "Likes tea" in plan.body.decode()


async def test_writing_recalls_nothing(planning):
    plan = await planning.plan(mode=Mode.WRITE)
    assert messages(plan) == [INSTRUCTED, *CHAT["messages"]]
    assert (plan.report["X-Memory-Recalled"], "X-Memory-Ids" in plan.report, plan.answer) == ("0", False, FilterOptions())
    assert planning.embedder.queries == []


async def test_what_is_switched_off_is_not_done(planning):
    planning.recall, planning.extract = config.Recall(enabled=False), config.Extract(enabled=False)
    plan = await planning.plan()
    assert (plan.body, plan.answer) == (body(), None)
    assert (plan.report["X-Memory-Recalled"], plan.report["X-Memory-Extract"]) == ("0", "skipped; reason=disabled")


async def test_what_the_instruction_would_harm_goes_without_it(planning):
    plan = await planning.plan(body(response_format={"type": "json_object"}))
    assert (plan.answer, plan.report["X-Memory-Extract"]) == (None, "skipped; reason=response_format")
    assert [each["role"] for each in messages(plan)] == ["user"]


async def test_limits_are_the_configured_ones(planning):
    planning.extract = config.Extract(min_output_tokens=10, max_choices=1)
    assert (await planning.plan(body(max_tokens=10))).answer == FilterOptions()
    assert (await planning.plan(body(n=2))).report["X-Memory-Extract"] == "skipped; reason=choices"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, FilterOptions(early_finish=True, max_block_bytes=2048)),
        ({"n": 2}, FilterOptions(choices=2, max_block_bytes=2048)),
        ({"tools": [{"type": "function"}]}, FilterOptions(max_block_bytes=2048)),
        (
            {"stream": True, "stream_options": {"include_usage": True}},
            FilterOptions(early_finish=True, include_usage=True, max_block_bytes=2048),
        ),
    ],
)
async def test_the_answer_is_read_as_request_and_configuration_say(planning, fields: dict[str, Any], expected: FilterOptions):
    planning.extract = config.Extract(early_finish=True, max_block_bytes=2048)
    assert (await planning.plan(body(**fields))).answer == expected


@pytest.mark.parametrize(
    ("mode", "fields", "spoken"),
    [
        (Mode.FULL, {}, Spoken("tea")),
        (Mode.WRITE, {}, Spoken("tea")),
        (Mode.READ, {}, None),
        (Mode.FULL, {"response_format": {"type": "json_object"}}, None),
        (Mode.FULL, {"messages": [{"role": "user", "content": "tea", "name": "Ann"}]}, Spoken("tea", "Ann")),
        (Mode.FULL, {"messages": [{"role": "user", "content": "tea", "name": 7}]}, Spoken("tea")),
        (Mode.FULL, {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}, None),
        (Mode.FULL, {"messages": [{"role": "system", "content": "a"}]}, None),
    ],
)
async def test_the_user_s_message_is_kept_if_it_is_a_person_s(
    planning, mode: Mode, fields: dict[str, Any], spoken: Spoken | None
):
    assert (await planning.plan(body(**fields), mode)).spoken == spoken


async def test_messages_are_kept_though_the_model_is_not_asked_for_memories(planning):
    planning.extract = config.Extract(enabled=False)
    assert (await planning.plan()).spoken == Spoken("tea")


async def test_messages_are_not_kept_if_they_are_not_to_be(planning):
    planning.recall = config.Recall(keep_turns=False)
    assert (await planning.plan()).spoken is None


async def test_what_is_said_goes_on_with_its_request(planning):
    plan = await planning.plan()
    blocks = [Block("[]")]
    said = plan.said(blocks, lambda: "Noted.")
    assert said is not None
    assert said.spoken is not None
    assert said.spoken.reply() == "Noted."
    assert replace(said, spoken=None) == Said(
        planning.owner, plan.session, plan.trace, blocks, shown=plan.shown, model="m", foreign=plan.foreign
    )


async def test_which_tool_outputs_came_before_a_message_is_told(planning):
    roles = ("user", "tool", "tool", "user", "function", "assistant", "user")
    plan = await planning.plan(body(messages=[{"role": role, "content": f"{role}, tea"} for role in roles]))
    assert plan.foreign.tools_before == (0, 2, 3)


async def test_nobody_s_request_says_nothing(planning):
    assert (await planning.plan(b"not JSON")).said([Block("[]")], str) is None


async def test_trouble_is_told(planning):
    planning.embedder.failure = EmbedError("down")
    plan = await planning.plan()
    assert "Likes tea" in messages(plan)[1]["content"]
    assert (plan.report["X-Memory-Status"], plan.report["X-Memory-Recalled"]) == ("degraded; reason=embedder", "1")


@pytest.mark.parametrize("data", [b"not JSON", b"[]", b'{"messages":[]}', b"\x1f\x8b"])
async def test_what_can_t_be_read_goes_untouched(planning, data: bytes):
    plan = await planning.plan(data)
    assert plan == Plan(
        body=data,
        trace=plan.trace,
        report={"X-Memory-Status": "off", "X-Memory-Extract": "skipped; reason=unreadable", "X-Memory-Trace": plan.trace},
    )


async def test_a_bad_name_in_the_body_costs_only_the_memories(edge, embedder):
    turns = Turns(Recall(edge, embedder, config.Recall(deadline_ms=30_000)), Replay())
    planner = Planner(turns, config.Recall(), config.Extract(), instruction="Remember.", default_user="default")
    data = body(user="a\x00b")
    plan = await planner.plan({}, Mode.FULL, data, tenant="default")
    assert plan == Plan(
        body=data,
        trace=plan.trace,
        model="m",
        report={
            "X-Memory-Status": "degraded; reason=user",
            "X-Memory-Extract": "skipped; reason=user",
            "X-Memory-Trace": plan.trace,
        },
    )


@pytest.mark.parametrize("name", ["User", "Session"])
async def test_a_bad_name_in_a_header_is_an_error(planning, name: str):
    with pytest.raises(IdentityError) as caught:
        await planning.plan(**{name: " "})
    assert caught.value.source == f"X-Memory-{name}"


async def test_the_session_is_the_header_s_or_follows_from_the_messages(planning):
    longer = body(messages=[*CHAT["messages"], {"role": "assistant", "content": "ok"}, {"role": "user", "content": "more"}])
    assert (await planning.plan(Session="s1")).session == "s1"
    assert (await planning.plan()).session == (await planning.plan(longer)).session


async def test_traces_are_not_used_twice(planning):
    assert (await planning.plan()).trace != (await planning.plan()).trace
