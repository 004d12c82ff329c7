"""What is cut out of a message as pasted, and what stays."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.quotes import without_quotes
from tests.core.test_cost import assert_linear

OUTPUT = '{"order": 4711, "status": "shipped", "carrier": "Nordpost", "days": 3}'


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (f"It says {OUTPUT}: why?", 'It says {" … }: why?'),
        ("ORDER 4711 STATUS SHIPPED CARRIER NORDPOST", " … "),
        ("order 4711 status shipped carrier Nordpost, and status: shipped; carrier Nordpost, days: 3.", " … , and  … ."),
        ("order 4711 status shipped carrier", "order 4711 status shipped carrier"),
        ("order 4711 was shipped by the carrier Nordpost in 3 days", "order 4711 was shipped by the carrier Nordpost in 3 days"),
        ("I live in Oslo", "I live in Oslo"),
        ("", ""),
    ],
)
def test_six_words_in_a_row_are_a_quote(text: str, left: str) -> None:
    assert without_quotes([text], [OUTPUT], [1]) == [left]


def test_only_what_came_before_is_quoted() -> None:
    assert without_quotes([OUTPUT, OUTPUT, OUTPUT], ["x", OUTPUT, OUTPUT], [1, 2, 3]) == [OUTPUT, '{" … }', '{" … }']


@given(st.text("aİß .{", max_size=60), st.text("aİß .{", max_size=60))
def test_any_text_is_read(text: str, source: str) -> None:
    assert without_quotes([text], [source], [0]) == [text]
    assert len(without_quotes([text], [source, text], [2])[0]) <= max(3, len(text)) + 2


@pytest.mark.parametrize("text", ["oslo ", "a b c d e f x ", OUTPUT])
def test_the_cost_grows_as_the_texts_do(text: str) -> None:
    def work(size: int) -> Callable[[], object]:
        texts = [text * (size // len(text))]
        return lambda: without_quotes(texts * 2, texts * 2, [1, 2])

    assert_linear(work, 10_000)
