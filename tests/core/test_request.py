"""A chat request, read as values and edited as bytes."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core import splice
from proxy.core.request import ChatRequest

HELLO = {"role": "user", "content": "Hello"}
SYSTEM = {"role": "system", "content": "Be brief."}
CONTEXT = 'C"\n\U0001f600'
INSTRUCTION = 'Say "it" \\\nonce.'
BESIDE = {"role": "system", "content": INSTRUCTION}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}


def request(*messages: Any, **fields: Any) -> ChatRequest:
    parsed = ChatRequest.parse(json.dumps({"model": "m", "messages": list(messages or [HELLO]), **fields}).encode())
    assert parsed is not None
    return parsed


def raw(body: bytes) -> ChatRequest:
    parsed = ChatRequest.parse(body)
    assert parsed is not None
    return parsed


def edited(parsed: ChatRequest, contexts: dict[int, str] | None = None, instruction: str | None = None) -> list[Any]:
    messages: list[Any] = json.loads(parsed.edited(contexts or {}, instruction))["messages"]
    return messages


def text(words: str) -> dict[str, str]:
    return {"type": "text", "text": words}


class TestParse:
    def test_a_chat_is_read(self):
        parsed = request(model="gpt-4o")
        assert (parsed.model, parsed.messages) == ("gpt-4o", [HELLO])

    @pytest.mark.parametrize(
        "body",
        [
            *[b"", b" ", b"hello", b"[]", b'"messages"', b"null", b"{}", b'{"messages":{}}', b'{"messages":null}'],
            *[b'{"messages":[]}', b'{"messages":["hi"]}', b'{"messages":[{"role":"user"},"hi"]}', b'{"messages":[{}]', b"{]}"],
            b'\xef\xbb\xbf{"messages":[{}]}',
            b'{"messages":[{}]}{}',
            b'{"messages":[{"content":"\xff"}]}',
            b'{"messages":[{"content":"tab\there"}]}',
            '{"messages":[{}]}'.encode("utf-16"),
            '{"messages":[{}]}'.encode("utf-16-le"),
            b'{"messages":[{}],"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
            b'{"messages":[{}],"seed":' + b"9" * 5000 + b"}",
            b"\x1f\x8b\x08\x00compressed",
        ],
    )
    def test_what_is_no_chat_is_none(self, body: bytes):
        assert ChatRequest.parse(body) is None

    def test_what_only_some_parsers_read_is_accepted_and_survives(self):
        body = b'{"temperature":NaN,"top_p":-Infinity,"messages":[{"role":"user","content":"half a pair: \\ud83d"}]}'
        parsed = raw(body)
        assert parsed.text(0) == "half a pair: \ud83d"
        assert parsed.edited({0: "before "}, None) == body.replace(b"half", b"before half")

    @pytest.mark.parametrize(
        "fields",
        [
            {f"k{i}": 0 for i in range(20_000)},
            {"messages": [{"role": "user", "content": "a"}] * 10_001},
            {"messages": [{"role": "user", "content": [{}] * 20_000}]},
            {"messages": [{f"k{i}": 0 for i in range(20_000)}]},
        ],
        ids=["fields", "messages", "parts", "fields of a message"],
    )
    def test_what_has_too_many_parts_to_be_read_at_once_is_none(self, fields: dict[str, Any]):
        assert ChatRequest.parse(json.dumps({"messages": [{"role": "user"}]} | fields).encode()) is None

    def test_the_last_of_duplicate_keys_counts(self):
        parsed = raw(b'{"messages":[1],"model":"a","m\\u006fdel":"b","messages":[{"role":"user","content":1,"content":"hi"}]}')
        assert (parsed.model, parsed.text(0)) == ("b", "hi")
        assert parsed.edited({0: "oh, "}, None).endswith(b'"content":1,"content":"oh, hi"}]}')


class TestFields:
    def test_a_model_that_is_no_text_is_none(self):
        assert request(model=4).model is None

    @pytest.mark.parametrize(
        ("n", "choices"),
        [(1, 1), (3, 3), (None, 1), ("4", 1), (True, 1), (0, 1), (-2, 1), (2.0, 2), (float("nan"), 1), ([2], 1)],
    )
    def test_choices_are_at_least_one(self, n: object, choices: int):
        assert request(n=n).choices == choices

    @pytest.mark.parametrize("n", [10**30, float("inf"), 1e300])
    def test_absurdly_many_choices_are_many(self, n: float):
        assert request(n=n).choices == 1_000_000

    def test_without_n_there_is_one_choice(self):
        assert request().choices == 1

    @pytest.mark.parametrize(
        ("fields", "has"), [({}, False), ({"tools": []}, False), ({"tools": [{}]}, True), ({"functions": [{}]}, True)]
    )
    def test_tools_are_seen(self, fields: dict[str, Any], has: bool):
        assert request(**fields).has_tools is has

    @pytest.mark.parametrize(
        ("options", "wants"),
        [
            (None, False),
            ({}, False),
            ({"include_usage": False}, False),
            ({"include_usage": True}, True),
            (["include_usage"], False),
        ],
    )
    def test_the_usage_chunk_is_wanted_only_if_asked_for(self, options: object, wants: bool):
        assert request(stream_options=options).wants_usage_chunk is wants

    def test_the_latest_user_message_is_found_behind_tools(self):
        call = {"role": "assistant", "content": None, "tool_calls": [{}]}
        assert request(HELLO, HELLO, call, {"role": "tool", "content": "{}"}).latest_user == 1

    def test_without_a_user_message_there_is_no_latest(self):
        assert request({"role": "system", "content": "x"}, {"content": "no role"}).latest_user is None


class TestText:
    @pytest.mark.parametrize(
        ("content", "expected"),
        [
            ("Hello", "Hello"),
            (None, ""),
            (5, ""),
            ({"type": "text", "text": "no list"}, ""),
            ([], ""),
            ([text("a"), IMAGE, text("b")], "a\nb"),
            ([IMAGE], ""),
            ([{"type": "text"}, {"type": "text", "text": 5}, "bare", {"text": "no type"}, text("kept")], "kept"),
        ],
    )
    def test_it_is_that_of_the_parts(self, content: object, expected: str):
        assert request({"role": "user", "content": content}).text(0) == expected

    def test_of_a_message_without_content_it_is_empty(self):
        assert request({"role": "user"}).text(0) == ""


class TestSession:
    def test_it_stays_while_the_conversation_grows(self):
        first = request(SYSTEM, HELLO)
        later = request(SYSTEM, HELLO, {"role": "assistant", "content": "Hi"}, {"role": "user", "content": "More"})
        assert first.session == later.session

    def test_it_depends_on_the_messages_alone(self):
        assert request(SYSTEM, HELLO).session == request(SYSTEM, HELLO, model="other", temperature=1).session

    def test_another_beginning_is_another_conversation(self):
        bye = {"role": "user", "content": "Bye"}
        sessions = {
            each.session for each in [request(HELLO), request(bye), request(SYSTEM, HELLO), request(HELLO | {"name": "a"})]
        }
        assert len(sessions) == 4

    def test_without_a_user_message_the_first_counts(self):
        assert request(SYSTEM).session == request(SYSTEM, {"role": "assistant", "content": "x"}).session

    def test_fingerprints_tell_where_conversations_part(self):
        ours = request(HELLO, HELLO, {"role": "user", "content": "a"}).fingerprints
        theirs = request(HELLO, HELLO, {"role": "user", "content": "b"}).fingerprints
        assert ours[:2] == theirs[:2]
        assert len({*ours, *theirs}) == 4

    def test_the_border_between_messages_counts(self):
        assert raw(b'{"messages":[{},{}]}').fingerprints[-1] != raw(b'{"messages":[{"a":[{},{}]}]}').fingerprints[-1]


class TestHarm:
    def slug(self, *messages: Any, **fields: Any) -> str | None:
        return request(*messages, **fields).harm_of_instruction(min_output_tokens=256, max_choices=4)

    @pytest.mark.parametrize(
        "fields",
        [
            {},
            {"response_format": {"type": "text"}},
            {"response_format": None},
            {"tool_choice": "auto"},
            {"tool_choice": "none"},
            {"function_call": "auto"},
            {"tools": [{"type": "function"}]},
            {"logprobs": False, "top_logprobs": 0},
            {"modalities": ["text"]},
            {"modalities": None},
            {"modalities": 7},
            {"audio": None},
            {"max_tokens": 256},
            {"max_tokens": None},
            {"max_tokens": "50"},
            {"max_tokens": -1},
            {"max_completion_tokens": 1e9},
            {"n": 4},
            {"n": "9"},
            {"guided_json": None},
        ],
    )
    def test_the_usual_does_none(self, fields: dict[str, Any]):
        assert self.slug(**fields) is None

    @pytest.mark.parametrize(
        ("fields", "slug"),
        [
            ({"response_format": {"type": "json_object"}}, "response_format"),
            ({"response_format": {"type": "json_schema", "json_schema": {}}}, "response_format"),
            ({"response_format": {}}, "response_format"),
            ({"guided_json": {"type": "object"}}, "response_format"),
            ({"guided_choice": ["yes", "no"]}, "response_format"),
            ({"structured_outputs": {"regex": "a"}}, "response_format"),
            ({"grammar": "root ::= x"}, "response_format"),
            ({"regex": "a+"}, "response_format"),
            ({"ebnf": "root ::= x"}, "response_format"),
            ({"tool_choice": "required"}, "tool_choice"),
            ({"tool_choice": "any"}, "tool_choice"),
            ({"tool_choice": {"type": "function", "function": {"name": "f"}}}, "tool_choice"),
            ({"function_call": {"name": "f"}}, "tool_choice"),
            ({"logprobs": True}, "logprobs"),
            ({"top_logprobs": 2}, "logprobs"),
            ({"audio": {"voice": "alloy"}}, "audio"),
            ({"modalities": ["text", "audio"]}, "audio"),
            ({"max_tokens": 255}, "max_tokens"),
            ({"max_tokens": 0}, "max_tokens"),
            ({"max_tokens": 10.5}, "max_tokens"),
            ({"max_completion_tokens": 1, "max_tokens": 4096}, "max_tokens"),
            ({"n": 5}, "choices"),
            ({"n": 5.0}, "choices"),
            ({"n": 10**40}, "choices"),
        ],
    )
    def test_harm_has_a_name(self, fields: dict[str, Any], slug: str):
        assert self.slug(**fields) == slug

    def test_an_answer_that_is_already_begun_is_not_disturbed(self):
        assert self.slug(HELLO, {"role": "assistant", "content": "The answer is"}) == "prefill"

    def test_an_assistant_further_up_is_no_prefill(self):
        assert self.slug({"role": "assistant", "content": "Welcome"}, HELLO) is None


class TestContexts:
    def test_a_text_gets_its_context_in_front(self):
        assert edited(request(HELLO), {0: "«data»\n"}) == [{"role": "user", "content": "«data»\nHello"}]

    def test_a_list_gets_a_first_part(self):
        message = {"role": "user", "content": [text("Hello"), IMAGE]}
        assert edited(request(message), {0: "ctx"}) == [{"role": "user", "content": [text("ctx"), text("Hello"), IMAGE]}]

    def test_an_image_that_comes_first_stays_whole_behind_it(self):
        message = {"role": "user", "content": [IMAGE, text("Hello")]}
        assert edited(request(message), {0: "ctx"}) == [{"role": "user", "content": [text("ctx"), IMAGE, text("Hello")]}]

    def test_an_empty_list_becomes_a_list_of_one(self):
        assert raw(b'{"messages":[{"content":[ ]}]}').edited({0: "c"}, None) == (
            b'{"messages":[{"content":[{"type":"text","text":"c"} ]}]}'
        )

    def test_several_messages_get_each_their_own(self):
        messages = [HELLO, {"role": "assistant", "content": None}, HELLO]
        assert edited(request(*messages), {2: "b ", 0: "a "}) == [
            {"role": "user", "content": "a Hello"},
            {"role": "assistant", "content": None},
            {"role": "user", "content": "b Hello"},
        ]

    def test_quotes_and_half_pairs_arrive_as_they_are(self):
        context = '"quoted" \\ back\n\ttab \ud800 \x00'
        assert edited(request(HELLO), {0: context})[0]["content"] == context + "Hello"


class TestInstruction:
    def test_it_goes_behind_the_first_system_text(self):
        first, second = {"role": "system", "content": "A"}, {"role": "system", "content": "B"}
        assert edited(request(first, second, HELLO), instruction=INSTRUCTION) == [
            {"role": "system", "content": "A\n\n" + INSTRUCTION},
            second,
            HELLO,
        ]

    @pytest.mark.parametrize("role", ["system", "developer"])
    @pytest.mark.parametrize("content", [[], [text("A")]])
    def test_a_list_gets_a_last_part(self, role: str, content: list[Any]):
        assert edited(request({"role": role, "content": content}, HELLO), instruction=INSTRUCTION) == [
            {"role": role, "content": [*content, text(INSTRUCTION)]},
            HELLO,
        ]

    def test_it_need_not_be_the_first_message(self):
        developer = {"role": "developer", "content": ""}
        assert edited(request(HELLO, developer), instruction=INSTRUCTION) == [
            HELLO,
            {"role": "developer", "content": "\n\n" + INSTRUCTION},
        ]

    def test_without_a_system_message_it_gets_one(self):
        assert edited(request(HELLO), instruction=INSTRUCTION) == [BESIDE, HELLO]

    @pytest.mark.parametrize(
        "message", [{"role": "system"}, {"role": "system", "content": None}, {"role": "system", "content": {}}]
    )
    def test_a_system_message_without_text_is_left_alone(self, message: dict[str, Any]):
        assert edited(request(message, HELLO), instruction=INSTRUCTION) == [BESIDE, message, HELLO]

    def test_it_and_a_context_go_in_together(self):
        body = b' { "messages" : [ { "content" : "Hi" , "role" : "user" } ] , "seed" : 123456789012345678901 } '
        assert raw(body).edited({0: "ctx "}, "do") == (
            b' { "messages" : [{"role":"system","content":"do"}, { "content" : "ctx Hi" , "role" : "user" } ] ,'
            b' "seed" : 123456789012345678901 } '
        )

    def test_without_anything_to_add_the_body_is_the_same(self):
        parsed = request(HELLO)
        assert parsed.edited({}, None) == parsed.body


# Bodies as nobody would write them, and everybody may: odd blanks, orders, duplicates, numbers and escapes.

_BLANKS = st.sampled_from(["", "", "", " ", "\n", "\t", "\r\n  "])
_NUMBERS = st.sampled_from(
    ["0", "-0", "1E+5", "1e400", "-1.50", "123456789012345678901234567890", "0.1000000000000000055511151231257827"]
)
_CHARS = st.sampled_from(
    [
        *"aZ é漢😀{}[],:",
        '\\"',
        "\\\\",
        "\\/",
        "\\n",
        "\\u0041",
        "\\ud83d\\ude00",
        "\\ud83d",
        "\\u0000",
        "\\u2028",
        "\u2028",
        "\x7f",
    ]
)
_STRINGS = st.lists(_CHARS, max_size=8).map(lambda chars: f'"{"".join(chars)}"')
_KEYS = st.one_of(_STRINGS, st.sampled_from(['"messages"', '"content"', '"role"', '"user"', '"m\\u0065ssages"']))


@st.composite
def _array(draw: st.DrawFn, elements: list[str]) -> str:
    return (
        "[" + ",".join(draw(_BLANKS) + each + draw(_BLANKS) for each in elements) + (draw(_BLANKS) if not elements else "") + "]"
    )


@st.composite
def _object(draw: st.DrawFn, members: list[tuple[str, str]]) -> str:
    blank = [draw(_BLANKS) for _ in range(4)]
    inside = ",".join(f"{blank[0]}{key}{blank[1]}:{blank[2]}{value}{blank[3]}" for key, value in members)
    return "{" + (inside or blank[0]) + "}"


_VALUES = st.recursive(
    st.one_of(_STRINGS, _NUMBERS, st.sampled_from(["null", "true", "false", "NaN"])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).flatmap(_array),
        st.lists(st.tuples(_KEYS, inner), max_size=3).flatmap(_object),
    ),
    max_leaves=6,
)
_PARTS = st.lists(st.one_of(_STRINGS.map(lambda words: '{"type":"text","text":' + words + "}"), _VALUES), max_size=3)
_CONTENTS = st.one_of(_STRINGS, _PARTS.flatmap(_array))


@st.composite
def _message(draw: st.DrawFn) -> str:
    role = draw(st.sampled_from(["user", "user", "system", "developer", "assistant", "tool"]))
    others = draw(st.lists(st.tuples(_STRINGS, _VALUES), max_size=2))
    members = [*others, ('"role"', f'"{role}"'), ('"content"', draw(_CONTENTS))]
    if draw(st.booleans()):
        members.insert(0, ('"content"', draw(_VALUES)))
    return draw(_object(members))


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """The text of a chat request; the members that count come last, so that no earlier one of the same name does."""
    messages = draw(_array(draw(st.lists(_message(), min_size=1, max_size=4))))
    others = draw(st.lists(st.tuples(_KEYS, _VALUES), max_size=3))
    members = [*others, ('"messages"', messages)]
    return f"{draw(_BLANKS)}{draw(_object(members))}{draw(_BLANKS)}".encode()


def exactly(body: bytes) -> Any:
    """The value, with numbers as they are spelled and duplicate keys and their order kept."""
    return json.loads(body, parse_int=str, parse_float=str, parse_constant=str, object_pairs_hook=list)


@settings(deadline=None)
@given(bodies())
def test_every_edit_keeps_all_other_bytes(body: bytes):
    parsed = raw(body)
    users = {i: CONTEXT for i, each in enumerate(parsed.messages) if each["role"] == "user"}
    after = parsed.edited(users, INSTRUCTION)
    for inserted in _insertions(after):
        after = after.replace(inserted, b"")
    assert after == body


def _insertions(body: bytes) -> list[bytes]:
    context, instruction = splice.quote(CONTEXT)[1:-1], splice.quote(INSTRUCTION)[1:-1]
    part = b'{"type":"text","text":"%b"}'
    return [
        *[part % context + b",", part % context, context],
        *[b'{"role":"system","content":"%b"},' % instruction, b"," + part % instruction, part % instruction],
        *[b"\\n\\n" + instruction],
    ]


@settings(deadline=None)
@given(bodies())
def test_edits_say_what_they_should_and_nothing_else(body: bytes):
    parsed = raw(body)
    users = {i: CONTEXT for i, each in enumerate(parsed.messages) if each["role"] == "user"}
    before, after = exactly(body), exactly(parsed.edited(users, INSTRUCTION))
    assert after[:-1] == before[:-1]
    expected = [_with_context(each) if i in users else each for i, each in enumerate(before[-1][1])]
    system = next((i for i, each in enumerate(parsed.messages) if each["role"] in ("system", "developer")), None)
    if system is None:
        expected.insert(0, [("role", "system"), ("content", INSTRUCTION)])
    else:
        expected[system] = _with_instruction(expected[system])
    assert after[-1] == ("messages", expected)


def _with_context(message: list[Any]) -> list[Any]:
    *others, (name, content) = message
    part = [("type", "text"), ("text", CONTEXT)]
    return [*others, (name, CONTEXT + content if isinstance(content, str) else [part, *content])]


def _with_instruction(message: list[Any]) -> list[Any]:
    *others, (name, content) = message
    part = [("type", "text"), ("text", INSTRUCTION)]
    return [*others, (name, f"{content}\n\n{INSTRUCTION}" if isinstance(content, str) else [*content, part])]
