"""What one answer told, cleaned, and on its way through the journal."""

import json
from dataclasses import replace

import pytest

from proxy.core.echo import Foreign
from proxy.core.models import Owner
from proxy.memory.heard import Heard, Message, hear, parse, render
from tests.memory.telling import DEFAULTS, NOW, answer

KEY = "sk-" + "proj-" + "a1B2" * 12


def heard(owner: Owner, **fields: object) -> Heard:
    items = [
        {"content": f"Has the key {KEY}", "category": "fact", "replaces": "m1", "importance": 0.7, "scope": "session"},
        "Sings",
    ]
    said = answer(owner, *items, forget=("m2",), shown={"m1": "id 1", "m2": "id 2"}, trace="t1", model="gpt", **fields)  # type: ignore[arg-type]
    return hear(said, DEFAULTS)


def test_no_secret_is_in_what_is_written(ann):
    text = render(heard(ann, text=f"My key is {KEY}", reply=f"Your key is {KEY}", speaker=f"Ann {KEY}"))
    assert KEY not in text
    assert text.count("[redacted: API key]") == 4


def test_what_is_only_repeated_is_not_written(ann):
    said = answer(ann, "Plays chess with Maria on Sundays", foreign=Foreign(recalled=["Plays chess with Maria on Sundays"]))
    assert "Maria" not in render(hear(said, DEFAULTS))


def test_the_message_is_kept_with_its_reply_unless_it_says_nothing(ann):
    assert heard(ann, text=" My cat is ill ", reply="Poor cat!", speaker="Ann").message == Message(
        "My cat is ill", "Ann", "Poor cat!"
    )
    assert heard(ann, text="ok thanks!").message is None
    assert heard(ann).message is None


def test_what_the_message_has_of_a_tool_s_output_is_left_out(ann):
    output = f'{{"order": 4711, "status": "shipped", "carrier": "Nordpost", "key": "{KEY}"}}'
    foreign = Foreign(tools=[output], said=["…"], tools_before=[1])
    assert heard(ann, text=f"Your tool says {output} Why?", foreign=foreign).message == Message(
        'Your tool says {" … ": "[redacted: API key]"} Why?'
    )
    assert heard(ann, text="Order 4711, status: shipped, carrier: Nordpost", foreign=foreign).message is None


def test_no_half_of_a_secret_is_taken_for_a_quote(ann):
    foreign = Foreign(tools=["Now set the key to sk-proj-<yours>"], said=["…"], tools_before=[1])
    message = heard(ann, text=f"I did: Now set the key to {KEY}", foreign=foreign).message
    assert message is not None
    assert KEY[8:] not in message.text


@pytest.mark.parametrize("session", ["s1", None])
@pytest.mark.parametrize("at", [NOW, None])
@pytest.mark.parametrize("text", ["My cat is ill", None])
def test_what_is_written_is_read_again(ann, session, at, text):
    before = heard(ann, session=session, at=at, text=text, reply="Poor cat! \U0001f600")
    assert parse(render(before)) == before
    assert (before.conversation, before.as_of) == (session or "t1", at)


def test_a_name_with_half_a_surrogate_pair_is_written_too(ann):
    before = replace(heard(Owner("ann \ud83d")), model="gpt \ud83d")
    assert parse(render(before)) == before


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "3", "null", "{}", '{"owner": 3}', render(hear(answer(Owner("a")), DEFAULTS))[:-1]]
)
def test_anything_else_is_refused(text: str):
    with pytest.raises(ValueError):
        parse(text)


@pytest.mark.parametrize("name", ["owner", "at", "items", "message", "figures"])
def test_what_holds_something_else_is_refused(ann, name: str):
    value = json.loads(render(heard(ann, text="My cat is ill")))
    with pytest.raises(ValueError):
        parse(json.dumps(value | {name: {"x": 3}}))
