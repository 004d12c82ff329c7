"""Streams through the filter: the pitfalls that concern it (by number, ``N of the list``), early finish, and what always holds."""

import json
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.blocks import Block, BlockScanner
from proxy.core.stream import StreamFilter
from tests.core.hostile import BLOCK, FACT
from tests.core.strategies import (
    CR,
    CRLF,
    DONE,
    FRAGMENTS,
    LF,
    answer_stream,
    choice,
    chunk,
    cuts,
    event,
    ordered,
    pieces,
    read_events,
    run,
    seen_text,
    stream,
    text_chunk,
)

_PING = b": OPENROUTER PROCESSING\n\n"
_TOOL_CALL = [
    {"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"x":"<memory>[]</memory>'}}
]
_USAGE = {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}


def outs(filter_: StreamFilter, *values: Any) -> list[bytes]:
    """What leaves the filter after each of *values*, and at the end."""
    return [*[filter_.feed(event(value)) for value in values], filter_.finish()]


def events(*values: Any) -> list[bytes]:
    return [event(value) for value in values]


# Nothing of a block: everything leaves as it came.


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(
            stream([text_chunk("", role="assistant"), text_chunk("Hi"), text_chunk(finish_reason="stop"), DONE]), id="usual"
        ),
        pytest.param(stream([text_chunk("Hi", finish_reason="stop"), DONE]), id="40: finish_reason with the last text"),
        pytest.param(stream([text_chunk("Hi"), text_chunk(" you ")]), id="39, 41: neither finish_reason nor [DONE]"),
        pytest.param(stream([text_chunk("Hi "), chunk(usage=_USAGE), DONE]), id="3: the usage chunk without choices"),
        pytest.param(stream([text_chunk("a "), text_chunk("b ")], eol=CRLF), id="12: CRLF"),
        pytest.param(stream([text_chunk("a "), text_chunk("b ")], eol=CR), id="12: CR"),
        pytest.param(stream([text_chunk("a\u2028b\u0085c\u2029 ")]), id="13: line separators of Unicode"),
        pytest.param(b'data:{"choices":[{"delta":{"content":"x "}}]}\n\n', id="14: no blank behind data"),
        pytest.param(stream([text_chunk("x ")], spaced=True), id="15: data of several lines"),
        pytest.param(b"data: \n\ndata:\n\ndata\n\n" + event(text_chunk("x ")) + b"data: \n\n", id="9: empty data"),
        pytest.param(
            b"id: 1\n\nretry: 10\n\nevent: x\n\n" + event(text_chunk("x ")) + b"id: 2\n\n", id="10: events without data"
        ),
        pytest.param(b"\xef\xbb\xbf" + event(text_chunk("x ")), id="a byte order mark"),
        pytest.param(
            stream([text_chunk("", role="assistant", content_filter=None), text_chunk(None), text_chunk("x ")]), id="45, 47: null"
        ),
        pytest.param(
            stream([text_chunk("x "), {"error": {"message": "overloaded <memory>", "code": 529}}, DONE]), id="36: an error event"
        ),
        pytest.param(stream([text_chunk("x <")])[:-9], id="35: cut in an event"),
        pytest.param(stream([text_chunk("x "), "{not json <memory>", DONE]), id="data that is no JSON"),
        pytest.param(b'data: {"choices":[{"delta":{"content":"\\ud83d "},"n":1E+5,"n":NaN}]}\n\n', id="JSON that few can read"),
        pytest.param(b"hello <memory>\n\nworld\n\n", id="no event stream at all"),
        pytest.param(
            stream([text_chunk("x ", tool_calls=_TOOL_CALL), text_chunk(refusal=BLOCK), text_chunk(reasoning=BLOCK)]), id="44, 46"
        ),
        pytest.param(
            stream([text_chunk(reasoning_content=BLOCK), chunk({"index": 0, "text": BLOCK}), chunk(note=BLOCK)]),
            id="other fields",
        ),
    ],
)
def test_a_stream_without_a_block_leaves_as_it_came(data: bytes) -> None:
    for cut in ([data], pieces(data), pieces(data, 7)):
        filter_ = StreamFilter()
        assert run(filter_, cut) == data
        assert filter_.blocks == []


def test_events_that_cannot_matter_leave_as_the_bytes_that_came() -> None:
    filter_ = StreamFilter()
    filter_.feed(event(text_chunk("Hello")))
    data = stream([text_chunk("there"), text_chunk(" you"), chunk(usage=_USAGE), text_chunk(finish_reason="stop"), DONE])
    assert filter_.feed(data) is data


def test_done_leaves_verbatim_once_and_last() -> None:
    """1 of the list."""
    for done in (b"data: [DONE]\n\n", b"data:[DONE]\n\n", b"data: [DONE]\r\n\r\n", b"data: [DONE] \n\n"):
        out = run(StreamFilter(), [event(text_chunk(f"Hi {BLOCK} ")) + done])
        assert seen_text(out) == "Hi "
        assert out.count(b"[DONE]") == 1
        assert out.endswith(done)


# What a block changes.


@pytest.mark.parametrize("form", [{"eol": LF}, {"eol": CRLF}, {"eol": CR}, {"spaced": True}, {"escaped": True}])
def test_only_events_that_hold_some_of_a_block_are_changed(form: dict[str, Any]) -> None:
    values = [text_chunk(text, system_fingerprint=None) for text in ("Hi", " \n", "<mem", f"ory>{FACT}", "</memory>", "!", " <")]
    data = stream([*values, DONE], **form)
    out = run(StreamFilter(), pieces(data, 11))
    before, after = read_events(data), read_events(out)
    assert [raw for raw, _ in after[:1] + after[5:]] == [raw for raw, _ in before[:1] + before[5:]]
    for (_, old), (_, new) in zip(before[1:5], after[1:5], strict=True):
        old["choices"][0]["delta"]["content"] = ""
        assert new == old


def test_a_changed_event_keeps_every_other_byte() -> None:
    """45 of the list: number spellings, key order, blanks, doubled keys, other fields of the event."""
    raw = (
        b'id: 7\nevent: x\ndata:{ "created": 1E+5,"n":12345678901234567890, "choices" :[ {"delta":{"content":"Hi %s",'
        b'"x":[1.0,{}]} ,"finish_reason":null, "index":0}],"n":-0}\nretry: 5\n\n'
    )
    out = run(StreamFilter(), [raw % json.dumps(BLOCK)[1:-1].encode()])
    assert out == raw.replace(b"Hi %s", b"Hi")


@pytest.mark.parametrize(
    "fields",
    [
        {"content": "a", "tool_calls": [{"function": {"arguments": '{"content":"x"}'}}]},
        {"x": {"content": "y"}, "content": "a"},
        {"content": "a", "x": {"content": 1}},
        {"x": "content", "content": "a"},
    ],
)
def test_other_fields_called_content_stay(fields: dict[str, Any]) -> None:
    out = run(StreamFilter(), [event(text_chunk(**fields | {"content": f"a {BLOCK}"}))])
    assert [value for _, value in read_events(out)] == [text_chunk(**fields)]


@pytest.mark.parametrize(
    ("key", "decoy"),
    [
        (b'"\\u0063ontent"', b'"content":"x"'),
        (b'"content"', b'"\\u0063ontent":"x"'),
        (b'"content" ', b'"n":0'),
        (b'"content"', b'"content":"x"'),
    ],
)
def test_keys_may_be_spelt_in_any_way(key: bytes, decoy: bytes) -> None:
    block = json.dumps(BLOCK)[1:-1].encode()
    for raw in (
        b'data: {%s,"choices":[{"delta":{%s:"a%s"}}]}\n\n' % (decoy, key, block),
        b'data: {"choices":[{"delta":{%s:"a%s"}}],%s}\n\n' % (key, block, decoy),
    ):
        assert run(StreamFilter(), [raw]) == raw.replace(block, b"")


def test_a_blank_at_the_end_of_a_line_of_data_may_stand_before_a_block() -> None:
    """15 of the list, when nothing was held before."""
    lines = b'data: {"choices":[{"index":0,"delta":{"content":"you "\ndata: }}]}\n\n'
    assert seen_text(run(StreamFilter(), events(text_chunk("Hi "), text_chunk("to"), lines, text_chunk(BLOCK)))) == "Hi toyou"


def test_text_in_parts() -> None:
    """47 of the list: content as a list."""
    parts = [
        {"type": "text", "text": "Hi <mem"},
        {"type": "thinking", "thinking": BLOCK},
        {"type": "text", "text": f"ory>{FACT}"},
    ]
    values = [text_chunk(parts), text_chunk([{"type": "text", "text": "</memory>!"}])]
    filter_ = StreamFilter()
    out = [value["choices"][0]["delta"]["content"] for _, value in read_events(run(filter_, events(*values)))]
    assert out == [[{"type": "text", "text": "Hi"}, parts[1], {"type": "text", "text": ""}], [{"type": "text", "text": "!"}]]
    assert filter_.blocks == [Block(FACT)]


def test_finish_reason_in_the_chunk_that_ends_the_block() -> None:
    """40 of the list."""
    out = run(StreamFilter(), events(text_chunk("Hi <memory>"), text_chunk(f"{FACT}</memory>", finish_reason="stop"), DONE))
    assert [value for _, value in read_events(out)] == [text_chunk("Hi"), text_chunk("", finish_reason="stop"), DONE]


def test_an_empty_finish_reason_ends_nothing() -> None:
    values = [text_chunk(text, finish_reason="") for text in ("Hi <mem", f"ory>{FACT}</mem", "ory>")]
    filter_ = StreamFilter()
    assert seen_text(run(filter_, events(*values, DONE))) == "Hi"
    assert filter_.blocks == [Block(FACT)]


def test_text_behind_the_finish_is_read_on() -> None:
    filter_ = StreamFilter()
    out = run(filter_, events(text_chunk("Hi <mem", finish_reason="stop"), text_chunk(f" {BLOCK} you"), DONE))
    assert seen_text(out) == "Hi <mem you"
    assert filter_.blocks == [Block(FACT)]


def test_a_character_cut_in_two_by_the_network() -> None:
    """16 of the list."""
    data = stream([text_chunk("é漢😀 "), text_chunk(f"é{BLOCK}漢"), DONE])
    assert run(StreamFilter(), pieces(data)) == stream([text_chunk("é漢😀 "), text_chunk("é漢"), DONE])


def test_usage_in_every_chunk_ends_nothing() -> None:
    """6 of the list."""
    values = [chunk(choice(text), usage=_USAGE) for text in ("Hi", " <mem", f"ory>{FACT}", "</memory>", " you")]
    filter_ = StreamFilter()
    out = [value for _, value in read_events(run(filter_, events(*values, DONE)))]
    assert out == [chunk(choice(text), usage=_USAGE) for text in ("Hi", "", "", "", " you")] + [DONE]
    assert filter_.blocks == [Block(FACT)]


# What is held back, and in what order it leaves.


def test_a_comment_leaves_at_once_while_text_is_held() -> None:
    """7 and 11 of the list."""
    held, last = events(text_chunk("Hi <mem"), text_chunk("x"))
    assert outs(StreamFilter(), held, _PING, b": ping\n", last) == [b"", _PING, b": ping\n", held + last, b""]


def test_a_comment_before_an_event_leaves_while_that_is_held() -> None:
    held = event(text_chunk("Hi <mem"))
    filter_ = StreamFilter()
    assert [filter_.feed(b": ping\n" + held), filter_.finish()] == [b": ping\n", held]


@pytest.mark.parametrize(
    "value", [chunk(usage=_USAGE), b"id: 7\n\n", b"data: \n\n", text_chunk(None), text_chunk("", role="assistant"), {"x": 1}]
)
def test_what_comes_behind_held_text_waits_for_its_turn(value: Any) -> None:
    """3, 9 and 10 of the list, while text is held."""
    first, last = events(text_chunk("Hi <mem"), text_chunk("x"))
    assert outs(StreamFilter(), first, value, last) == [b"", b"", first + event(value) + last, b""]


def test_tool_calls_and_reasoning_do_not_wait_behind_held_text() -> None:
    """44 and 46 of the list: they leave at once, behind the text that came before."""
    for other in (text_chunk(tool_calls=_TOOL_CALL), text_chunk(reasoning_content="hm"), text_chunk(refusal="no")):
        held = text_chunk("Hi \n")
        assert outs(StreamFilter(), held, other) == [b"", b"".join(events(held, other)), b""]


def test_tool_calls_do_not_end_a_block() -> None:
    call = text_chunk(tool_calls=_TOOL_CALL)
    filter_ = StreamFilter()
    out = [
        value
        for _, value in read_events(run(filter_, events(text_chunk('Hi <memory>["a'), call, text_chunk('"]</memory>!'), DONE)))
    ]
    assert out == [text_chunk("Hi"), call, text_chunk("!"), DONE]
    assert filter_.blocks == [Block('["a"]')]


def test_text_that_comes_with_reasoning_is_held_with_it() -> None:
    """46 of the list: a chunk with both."""
    both = text_chunk("Hi <mem", reasoning="hm")
    filter_ = StreamFilter()
    out = [value for _, value in read_events(run(filter_, events(both, text_chunk(f"ory>{FACT}</memory>", reasoning="hm"))))]
    assert out == [text_chunk("Hi", reasoning="hm"), text_chunk("", reasoning="hm")]
    assert filter_.blocks == [Block(FACT)]


def test_each_choice_has_its_own_state() -> None:
    """42 of the list."""
    texts = [(0, "Hi <mem"), (1, "a"), (1, " <memory>["), (0, f"ory>{FACT}"), (1, "1]</memory> b"), (0, "</memory>!"), (1, "c ")]
    filter_ = StreamFilter(choices=2)
    out = run(filter_, events(*[text_chunk(text, index=index) for index, text in texts], DONE))
    assert (seen_text(out), seen_text(out, index=1)) == ("Hi!", "a bc ")
    assert ordered(filter_.blocks) == [Block("[1]"), Block(FACT)]
    assert [value["choices"][0]["index"] for _, value in read_events(out)[:-1]] == [index for index, _ in texts]


def test_several_choices_in_one_chunk() -> None:
    filter_ = StreamFilter(choices=2)
    values = [chunk(choice("a <memory>["), choice("x ", index=1)), chunk(choice("1]</memory>"), choice(f"{BLOCK}y", index=1))]
    out = [value for _, value in read_events(run(filter_, events(*values)))]
    assert out == [chunk(choice("a"), choice("x", index=1)), chunk(choice(""), choice("y", index=1))]
    assert ordered(filter_.blocks) == [Block("[1]"), Block(FACT)]


def test_choices_without_an_index() -> None:
    delta = {"delta": {"content": "Hi <mem"}}, {"delta": {"content": f"ory>{FACT}</memory>"}}
    filter_ = StreamFilter()
    assert seen_text(run(filter_, events(chunk(delta[0]), chunk(delta[1])))) == "Hi"
    assert filter_.blocks == [Block(FACT)]


def test_no_event_passes_unread_before_every_choice_has_begun() -> None:
    filter_ = StreamFilter(choices=2)
    data = stream([text_chunk("a"), text_chunk("b"), text_chunk("\n<memory>x</memory>", index=1), text_chunk("c", index=1)])
    assert run(filter_, [data]) == data


# Streams that end, one way or another.


@pytest.mark.parametrize("end", [[], [DONE], [text_chunk(finish_reason="stop"), DONE], [{"error": {"message": "gone"}}]])
def test_held_text_leaves_when_the_stream_ends(end: list[Any]) -> None:
    """39 of the list."""
    for text in ("Hi <mem", "Hi \n", "Hi\n<memory>", "Hi\n<memory>likes", "`<memory>[]`"):
        data = stream([text_chunk(text), *end])
        assert run(StreamFilter(), [data]) == data


def test_the_token_limit_hides_a_bare_tag() -> None:
    out = run(StreamFilter(), events(text_chunk("Hi <memory>"), text_chunk(finish_reason="length"), DONE))
    assert [value for _, value in read_events(out)] == [text_chunk("Hi"), text_chunk(finish_reason="length"), DONE]


def test_a_block_that_never_ends_is_kept() -> None:
    """35 of the list: the stream breaks off."""
    filter_ = StreamFilter()
    assert seen_text(run(filter_, events(text_chunk('Hi <memory>{"memories":["a",'), text_chunk('"b')))) == "Hi"
    assert filter_.blocks == [Block('{"memories":["a","b', cut=True)]


def test_a_torn_event_in_a_block_is_not_shown() -> None:
    filter_ = StreamFilter()
    data = stream([text_chunk("Hi <memory>["), text_chunk("1, 2")])
    assert seen_text(run(filter_, [data[:-20]])) == "Hi"
    assert filter_.blocks == [Block("[", cut=True)]


def test_an_event_that_lacks_its_empty_line_is_read() -> None:
    filter_ = StreamFilter()
    data = stream([text_chunk("Hi <memory>["), text_chunk("1]</memory>!")])
    assert seen_text(run(filter_, [data[:-2]])) == "Hi!"
    assert filter_.blocks == [Block("[1]")]


def test_nothing_at_all() -> None:
    assert run(StreamFilter(), []) == b""
    assert run(StreamFilter(early_finish=True), [b""]) == b""


# Too much to be held: it leaves, and what comes is read no more.


@pytest.fixture
def little_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.core.stream._MAX_HELD_BYTES", 1000)


@pytest.mark.usefixtures("little_is_held")
@pytest.mark.parametrize("start", [b"data: {", b": ", b"x"])
def test_an_event_that_does_not_end_leaves_before_it_is_too_large(start: bytes) -> None:
    filter_ = StreamFilter()
    pieces = [start, b"x" * 1000, b"y", event(text_chunk(BLOCK))]
    assert [filter_.feed(piece) for piece in pieces] == [b"", start + b"x" * 1000, b"y", pieces[-1]]
    assert (filter_.finish(), filter_.blocks) == (b"", [])


@pytest.mark.usefixtures("little_is_held")
def test_an_event_that_does_not_end_in_a_block_leaves_the_block_what_it_had() -> None:
    filter_ = StreamFilter()
    filter_.feed(event(text_chunk("<memory>[1")))
    assert (filter_.feed(b"data: {" + b"x" * 1000), filter_.blocks) == (b"", [Block("[1", cut=True)])


@pytest.mark.usefixtures("little_is_held")
def test_undecided_events_leave_before_they_are_too_many() -> None:
    filter_ = StreamFilter(choices=2)
    undecided, other = event(text_chunk("Hi <mem")), event(chunk(choice("x" * 1000, index=1)))
    assert [filter_.feed(undecided), filter_.feed(other), filter_.finish()] == [b"", undecided + other, b""]


@pytest.mark.usefixtures("little_is_held")
def test_too_much_behind_an_early_finish_ends_the_stream() -> None:
    filter_ = StreamFilter(early_finish=True, include_usage=True)
    filter_.feed(event(text_chunk("<memory>[1")))
    assert (filter_.feed(b"x" * 1001), filter_.client_done) == (event(DONE), True)


# Early finish.

_FINISH = text_chunk(finish_reason="stop") | {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}


def early(*values: Any, usage: bool = False) -> list[Any]:
    """What the client reads after each event, and what was kept."""
    filter_ = StreamFilter(early_finish=True, include_usage=usage)
    return [[value for _, value in read_events(out)] for out in outs(filter_, *values)]


def test_early_finish_ends_the_stream_when_a_block_begins() -> None:
    filter_ = StreamFilter(early_finish=True)
    values = [
        text_chunk("Hi "),
        text_chunk("<memory>["),
        text_chunk("1]</memory>"),
        text_chunk(" late", finish_reason="stop"),
        DONE,
    ]
    assert [[value for _, value in read_events(out)] for out in outs(filter_, *values)] == [
        [],
        [text_chunk("Hi"), text_chunk(""), _FINISH, DONE],
        [],
        [],
        [],
        [],
    ]
    assert filter_.blocks == [Block("[1]")]
    assert filter_.client_done


def test_early_finish_with_the_block_in_one_delta() -> None:
    assert early(text_chunk(f"Hi {BLOCK} late"), text_chunk("later"), DONE) == [
        [text_chunk("Hi late"), _FINISH, DONE],
        [],
        [],
        [],
    ]


def test_early_finish_with_finish_reason_in_the_same_chunk() -> None:
    last = text_chunk("Hi", finish_reason="length")
    assert early(text_chunk("Hi <memory>[", finish_reason="length"), DONE) == [[last, DONE], [], []]


def test_early_finish_says_nothing_that_upstream_did_not() -> None:
    """4 of the list: fields of the chunk go into the finish chunk, its usage does not."""
    fields = {"system_fingerprint": "fp", "service_tier": "x", "usage": None}
    finish = {key: value for key, value in (_FINISH | fields).items() if key != "usage"}
    assert early(chunk(choice("Hi <memory>["), **fields))[0] == [chunk(choice("Hi"), **fields), finish, DONE]


def test_early_finish_waits_for_the_usage_that_was_asked_for() -> None:
    usage = chunk(usage=_USAGE)
    values = [text_chunk("Hi <memory>["), _PING, text_chunk("1]</memory>"), text_chunk(finish_reason="stop"), usage, DONE]
    assert early(*values, usage=True) == [[text_chunk("Hi"), _FINISH], [], [], [], [usage, DONE], [], []]


def test_the_usage_chunk_leaves_as_it_came() -> None:
    raw = b'data: {"choices":[], "usage":{"cost":1E-5,"n":12345678901234567890}}\n\n'
    filter_ = StreamFilter(early_finish=True, include_usage=True)
    assert outs(filter_, text_chunk("Hi <memory>["), raw)[1] == raw + b"data: [DONE]\n\n"


def test_early_finish_with_usage_in_the_same_chunk() -> None:
    both = chunk(choice("Hi <memory>["), usage=_USAGE)
    assert early(both, DONE, usage=True) == [[chunk(choice("Hi"), usage=_USAGE), _FINISH, chunk(usage=_USAGE), DONE], [], []]


def test_early_finish_with_usage_in_the_finish_chunk() -> None:
    values = [text_chunk("Hi <memory>["), chunk(choice(finish_reason="stop"), usage=_USAGE), DONE]
    assert early(*values, usage=True) == [[text_chunk("Hi"), _FINISH], [chunk(usage=_USAGE), DONE], [], []]


@pytest.mark.parametrize("end", [[DONE], []])
def test_early_finish_without_the_usage_that_was_asked_for(end: list[Any]) -> None:
    out = early(text_chunk("Hi <memory>["), text_chunk("1"), *end, usage=True)
    assert [*chain(*out)] == [text_chunk("Hi"), _FINISH, DONE]


def test_early_finish_drops_what_comes_behind_the_end() -> None:
    filter_ = StreamFilter(early_finish=True)
    out = outs(
        filter_,
        text_chunk("Hi <memory>["),
        _PING,
        b": ping\n",
        chunk(usage=_USAGE),
        text_chunk("1]</memory> late"),
        b": p\n" + event(DONE),
        "x",
    )
    assert out[1:] == [b""] * 7
    assert filter_.blocks == [Block("[1]")]


def test_early_finish_keeps_comments_while_it_waits_for_usage() -> None:
    """11 of the list."""
    filter_ = StreamFilter(early_finish=True, include_usage=True)
    assert outs(filter_, text_chunk("Hi <memory>["), _PING, b": ping\n")[1:3] == [_PING, b": ping\n"]


def test_early_finish_without_a_block_changes_nothing() -> None:
    data = answer_stream(["Hi ", "<mem", "o> ", "`<memory>[]`", " "])
    for usage in (False, True):
        assert run(StreamFilter(early_finish=True, include_usage=usage), pieces(data, 50)) == data


def test_early_finish_leaves_no_text_behind() -> None:
    """A plain tag that may still be text holds the text before it back: the end waits for that."""
    values = [text_chunk("Hi\n<memory>a</memory>"), text_chunk(f"\n{BLOCK}"), text_chunk("\nBye"), DONE]
    assert early(*values) == [
        [],
        [],
        [text_chunk("Hi\n<memory>a</memory>"), text_chunk(""), text_chunk("\nBye"), _FINISH, DONE],
        [],
        [],
    ]


@pytest.mark.parametrize("text", ["Hi\n<memory>likes tea</memory>", "Hi `<memory>[]</memory>"])
def test_early_finish_of_a_block_that_only_the_end_decides(text: str) -> None:
    """1 of the list: one [DONE], upstream's own."""
    seen = text_chunk("Hi" if "\n" in text else "Hi `")
    finish = text_chunk(finish_reason="stop")
    assert early(text_chunk(text), DONE) == [[], [seen, DONE], []]
    assert early(text_chunk(text), finish, DONE) == [[], [seen, finish, DONE], [], []]
    assert early(text_chunk(text)) == [[], [seen]]
    assert early(text_chunk(text), DONE, chunk(usage=_USAGE)) == [[], [seen, DONE], [], []]


def test_early_finish_puts_nothing_behind_an_event_that_has_not_ended() -> None:
    """35 of the list: broken off, the stream doesn't get an end that upstream did not send."""
    data = event(text_chunk("Hi <memory>["))[:-2]
    filter_ = StreamFilter(early_finish=True)
    assert run(filter_, [data]) == event(text_chunk("Hi"))[:-2]
    assert filter_.blocks == [Block("[", cut=True)]


def test_early_finish_of_a_chunk_that_few_could_write() -> None:
    data = (
        b'data: {"id":"\\ud83d","n":NaN,"m":123456789012345678901234567890,"choices":[{"delta":{"content":"Hi <memory>["}}]}\n\n'
    )
    out = StreamFilter(early_finish=True).feed(data)
    assert out.endswith(b'"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n')


# What always holds.

_fragments = st.lists(st.sampled_from(FRAGMENTS), max_size=3).map("".join)
_contents = _fragments | st.none() | st.lists(_fragments.map(lambda text: {"type": "text", "text": text}), max_size=3)
_others = st.sampled_from(
    [{}, {}, {}, {"tool_calls": _TOOL_CALL}, {"reasoning": "hm "}, {"refusal": BLOCK}, {"role": "assistant"}]
)
_reasons = st.sampled_from([None, None, None, None, None, "", "stop", "length", "tool_calls"])


@st.composite
def _choices(draw: st.DrawFn) -> dict[str, Any]:
    index, reason, other = draw(st.integers(0, 1)), draw(_reasons), draw(_others)
    return choice(draw(_contents), index=index, finish_reason=reason, **other)


_chunks = st.lists(_choices(), min_size=1, max_size=2).map(lambda choices: chunk(*choices))
_values = (
    _chunks
    | _chunks
    | st.sampled_from(
        [
            chunk(usage=_USAGE),
            chunk(choice("x "), usage=_USAGE),
            {"error": {"message": "<memory>[]"}},
            {"choices": [{"delta": []}]},
        ]
    )
    | st.sampled_from(["", "x", "{", "1", "null", "[]", '"<memory>[]"'])
)
_comments = st.sampled_from([b": ping", b":", b": <memory>[]"])
_forms = st.fixed_dictionaries({"eol": st.sampled_from([LF, CRLF, CR]), "escaped": st.booleans(), "spaced": st.booleans()})
_streams = st.tuples(st.lists(_values, max_size=8), st.booleans(), _forms)


class _Model:
    """The filter without bytes: what each value must become, *values* themselves where nothing is hidden."""

    def __init__(self, values: Iterable[Any]) -> None:
        self.scanners: dict[int, BlockScanner] = {}
        self.texts: list[tuple[BlockScanner, dict[str, Any], str]] = []
        self.values = [self._read(json.loads(json.dumps(value))) for value in values]
        self._finish()
        for scanner, holder, key in self.texts:
            holder[key] = scanner.take(holder[key])
        self.blocks = [block for scanner in self.scanners.values() for block in scanner.blocks]

    def _read(self, value: Any) -> Any:
        if value == DONE:
            self._finish()
        for each in value.get("choices", ()) if isinstance(value, dict) else ():
            self._read_choice(self.scanners.setdefault(each.get("index", 0), BlockScanner()), each)
        return value

    def _read_choice(self, scanner: BlockScanner, each: dict[str, Any]) -> None:
        delta = each["delta"] or {}
        texts = list(_texts(delta))
        if any(map(delta.get, ("tool_calls", "reasoning", "refusal"))) and not texts and not scanner.in_block:
            scanner.finish()
        for holder, key in texts:
            scanner.feed(holder[key])
            self.texts.append((scanner, holder, key))
        if each.get("finish_reason"):
            scanner.finish(truncated=each["finish_reason"] == "length")

    def _finish(self) -> None:
        for scanner in self.scanners.values():
            scanner.finish()


def _texts(delta: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str]]:
    content = delta.get("content")
    for holder, key in [(part, "text") for part in content] if isinstance(content, list) else [(delta, "content")]:
        if holder.get(key):
            yield holder, key


@given(_streams)
def test_every_event_is_what_its_text_makes_of_it(drawn: tuple[list[Any], bool, dict[str, Any]]) -> None:
    """An event leaves as it came unless some of its text is hidden; then only that is missing. In order, none more, none less."""
    values, done, form = drawn
    values = [*values, DONE] if done else values
    filter_ = StreamFilter(choices=2)
    out = read_events(run(filter_, [stream(values, **form)]))
    model = _Model(values)
    assert ordered(filter_.blocks) == ordered(model.blocks)
    # A value that is text goes as its own data line, JSON or not.
    readable = [read_events(event(each))[0][1] if isinstance(each, str) else each for each in model.values]
    assert [value for _, value in out] == readable
    for (raw, _), old, new in zip(out, values, model.values, strict=True):
        if new == old:
            assert raw == event(old, **form)


@given(st.data(), st.lists(_values | _comments, max_size=8), _forms)
def test_cutting_never_changes_what_leaves(data: st.DataObject, values: list[Any], form: dict[str, Any]) -> None:
    eol = form["eol"]
    raw = b"".join(
        each + eol * data.draw(st.integers(1, 2)) if isinstance(each, bytes) else event(each, **form) for each in values
    )
    if data.draw(st.booleans()):
        raw = raw[: data.draw(st.integers(0, len(raw)))]
    options = {"early_finish": data.draw(st.booleans()), "include_usage": data.draw(st.booleans())}
    whole, cut, bytewise = (StreamFilter(**options) for _ in range(3))
    assert run(whole, [raw]) == run(cut, data.draw(cuts(raw))) == run(bytewise, pieces(raw))
    assert whole.blocks == cut.blocks == bytewise.blocks


@given(st.lists(_values | _comments, max_size=8), st.booleans())
def test_every_comment_arrives(values: list[Any], early_finish: bool) -> None:
    raw = b"".join(each + b"\n\n" if isinstance(each, bytes) else event(each) for each in values)
    filter_ = StreamFilter(early_finish=early_finish)
    out = run(filter_, [raw])
    if not filter_.client_done:
        assert sorted(line for line in out.split(b"\n") if line[:1] == b":") == sorted(
            each for each in values if isinstance(each, bytes)
        )


@given(
    st.binary(max_size=200)
    | st.lists(st.sampled_from([b"data: ", b"\n", b"\r", b"{", b'"choices":[', b"<memory>", b"\xff", b": x", b"[DONE]"])).map(
        b"".join
    )
)
def test_any_bytes_pass(raw: bytes) -> None:
    assert run(StreamFilter(), [raw]) == raw
    run(StreamFilter(early_finish=True), pieces(raw, 3))


@given(_streams)
def test_early_finish_sends_one_end(drawn: tuple[list[Any], bool, dict[str, Any]]) -> None:
    values, _, form = drawn
    for usage in (False, True):
        filter_ = StreamFilter(early_finish=True, include_usage=usage)
        out = [value for _, value in read_events(run(filter_, [stream([*values, DONE], **form)]))]
        assert out.count(DONE) == 1
        assert out[-1] == DONE


# Whether text waits.


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["Hi", " there", "."], [False, False, False]),
        (["Hi <mem", "ento"], [True, False]),
        (["Hi ", "there"], [True, False]),
        (['Hi <memory>{"memories":', "[", "]}", "</memory>", "Bye"], [True, True, True, False, False]),
        (["```\n", "<memory>[]"], [False, False]),
    ],
    ids=["plain", "a tag that is none", "a blank", "a block", "code"],
)
def test_it_holds_text_while_it_may_become_a_block_and_while_one_is_under_way(texts, expected):
    filter_ = StreamFilter()
    found = []
    for text in texts:
        filter_.feed(event(text_chunk(text)))
        found.append(filter_.holds)
    filter_.feed(event(text_chunk(finish_reason="stop")) + b"data: [DONE]\n\n")
    assert (found, filter_.holds) == (expected, False)


def test_at_its_end_it_holds_nothing():
    filter_ = StreamFilter()
    filter_.feed(event(text_chunk("Hi <mem")))
    assert (filter_.holds, filter_.finish() != b"", filter_.holds) == (True, True, False)
