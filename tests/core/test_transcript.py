"""What was seen of an answer: kept beside any filter, and read afterwards."""

import gzip
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.completion import CompletionFilter
from proxy.core.filters import Filter, Passthrough
from proxy.core.stream import StreamFilter
from proxy.core.transcript import Recorded
from tests.core.hostile import BLOCK
from tests.core.strategies import (
    CR,
    CRLF,
    DONE,
    answer_body,
    answer_stream,
    choice,
    chunk,
    cuts,
    deltas,
    event,
    pieces,
    random_pieces,
    run,
    seen_text,
    stream,
    text_chunk,
)

_PARTS = [{"type": "text", "text": "Hi "}, {"type": "image", "url": "x"}, {"type": "text", "text": "you"}]


def recorded(*data: bytes, inner: Filter | None = None, **limits: int) -> Recorded:
    recorded = Recorded(inner or Passthrough(), **limits)
    run(recorded, data)
    return recorded


def reply(data: bytes) -> str:
    return recorded(data).reply()


def message(content: Any, **fields: Any) -> dict[str, Any]:
    return {"message": {"role": "assistant", "content": content}, **fields}


def body(*choices: dict[str, Any]) -> bytes:
    return json.dumps({"choices": choices}).encode()


# To its user, a recorded filter is the filter.


@given(st.data(), deltas)
def test_what_leaves_is_what_leaves_the_filter_and_the_reply_is_what_the_client_saw(
    data: st.DataObject, texts: list[str]
) -> None:
    came = data.draw(cuts(answer_stream(texts)))
    plain, kept = StreamFilter(), Recorded(StreamFilter())
    expected = [*map(plain.feed, came), plain.finish()]
    assert [*map(kept.feed, came), kept.finish()] == expected
    assert kept.blocks == plain.blocks
    assert kept.reply() == seen_text(b"".join(expected)).strip().encode("utf-8", "replace").decode()


@pytest.mark.parametrize("inner", [Passthrough(), StreamFilter(), CompletionFilter()])
def test_it_has_what_its_filter_has(inner: Filter) -> None:
    kept = Recorded(inner)
    assert (kept.rewrites, kept.whole, kept.blocks) == (inner.rewrites, inner.whole, inner.blocks)
    assert (kept.in_block, kept.client_done) == (False, False)


def test_it_says_when_a_block_has_begun_and_when_the_client_has_all() -> None:
    kept = Recorded(StreamFilter(early_finish=True))
    kept.feed(event(text_chunk('Hi <memory>{"memories":[')))
    assert (kept.in_block, kept.client_done) == (True, True)
    kept.feed(event(text_chunk("]}</memory>", finish_reason="stop")))
    assert (kept.in_block, kept.client_done) == (False, True)
    kept.finish()
    assert kept.reply() == "Hi"


def test_blocks_are_no_part_of_the_reply() -> None:
    assert recorded(answer_stream(["Hi ", BLOCK]), inner=StreamFilter()).reply() == "Hi"
    assert recorded(answer_body(f"Hi {BLOCK}"), inner=CompletionFilter()).reply() == "Hi"


# What a reply is.


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(answer_stream(["Hi ", "you", "!"]), "Hi you!", id="a stream"),
        pytest.param(answer_stream(["Hi ", "you"], eol=CRLF), "Hi you", id="CRLF"),
        pytest.param(answer_stream(["Hi ", "you"], eol=CR), "Hi you", id="CR"),
        pytest.param(answer_stream(["Hi ", "you"], spaced=True), "Hi you", id="data of several lines"),
        pytest.param(b"\xef\xbb\xbf: hello\n\n" + answer_stream(["Hi"]), "Hi", id="a byte order mark and a comment"),
        pytest.param(answer_stream(["  \n", " Hi", " you \n"]), "Hi you", id="blank space around it"),
        pytest.param(answer_stream(["a \u2028b 漢字 😀"]), "a \u2028b 漢字 😀", id="not ASCII"),
        pytest.param(answer_stream(["a \ud83d"]), "a ?", id="half a surrogate pair"),
        pytest.param(stream([text_chunk(_PARTS), DONE]), "Hi you", id="parts in a stream"),
        pytest.param(stream([chunk(choice("b", index=1), choice("a", index=0)), chunk(choice("d", index=1))]), "a", id="choices"),
        pytest.param(stream([text_chunk("Hi"), {"error": {"message": "overloaded"}}]), "Hi", id="an error at its end"),
        pytest.param(stream([text_chunk("Hi"), text_chunk(" you")])[:-9], "Hi", id="half an event"),
        pytest.param(stream([text_chunk(None, tool_calls=[{}]), text_chunk(None, reasoning="hm")]), "", id="no text in a stream"),
        pytest.param(answer_body(" Hi you\n"), "Hi you", id="a body"),
        pytest.param(b"\r\n " + answer_body("Hi", spaced=True) + b"\n", "Hi", id="a body with blank space"),
        pytest.param(body(message(_PARTS)), "Hi you", id="parts in a body"),
        pytest.param(body(message("b", index=1), message("a", index=0)), "a", id="choices of a body"),
        pytest.param(body(message(None)), "", id="no text in a body"),
        pytest.param(body(), "", id="no choices"),
        pytest.param(answer_body("Hi")[:-1], "", id="half a body"),
        pytest.param(b'{"error":{"message":"overloaded"}}', "", id="an error"),
        pytest.param(b'{"choices":[{"message":{"content":"\xff"}}]}', "", id="a body that is no UTF-8"),
        pytest.param(b'["Hi"]', "", id="a list"),
        pytest.param(b"<html>Hi</html>", "", id="a page"),
        pytest.param(gzip.compress(answer_body("Hi")), "", id="a compressed body"),
        pytest.param(b"", "", id="nothing"),
    ],
)
def test_the_reply_is_the_text_of_the_first_choice(data: bytes, expected: str) -> None:
    assert reply(data) == expected
    assert recorded(*pieces(data)).reply() == expected


@pytest.mark.parametrize(
    ("text", "max_chars", "expected"),
    [
        ("one two", 7, "one two"),
        ("one two three", 7, "one two"),
        ("one two three", 6, "one"),
        ("one two three", 8, "one two"),
        ("one \n\n two", 6, "one"),
        ("two" * 40, 7, "twotwot"),
        ("我住在柏林我住在柏林", 4, "我住在柏"),
        ("a " + "x" * 100, 90, "a " + "x" * 88),
    ],
)
def test_a_long_reply_is_cut_at_a_word(text: str, max_chars: int, expected: str) -> None:
    assert recorded(answer_body(text)).reply(max_chars=max_chars) == expected
    assert recorded(answer_stream(pieces(text, 3))).reply(max_chars=max_chars) == expected


def test_a_reply_has_at_most_two_thousand_characters() -> None:
    assert reply(answer_stream(["word "] * 1000)) == ("word " * 400)[:-1]


# No more is kept than may be.


@pytest.mark.parametrize("seed", range(5))
def test_only_the_beginning_is_kept_of_a_long_stream(seed: int) -> None:
    first = stream([text_chunk("", role="assistant"), text_chunk("Hi "), text_chunk("you")])
    data = first + answer_stream([" and", " more"])
    assert recorded(*random_pieces(data, seed), max_bytes=len(first) + 20).reply() == "Hi you"
    assert recorded(*random_pieces(data, seed), max_bytes=len(first)).reply() == "Hi you"


def test_a_body_that_is_longer_than_what_is_kept_has_no_reply() -> None:
    data = answer_body("Hi")
    assert recorded(data, inner=CompletionFilter(), max_bytes=len(data)).reply() == "Hi"
    assert recorded(data, inner=CompletionFilter(), max_bytes=len(data) - 1).reply() == ""
    assert recorded(data, max_bytes=0).reply() == ""
