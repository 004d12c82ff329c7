"""What a user's message is without what is ours in it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.context import render_context
from proxy.core.frames import without_frames
from tests.core.hostile import BLOCK
from tests.core.strategies import texts

NOTES = render_context({})


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("", ""),
        ("I like tea", "I like tea"),
        (f"{NOTES}I like tea", "I like tea"),
        (f"{NOTES}{NOTES}I like\n{NOTES}tea", "I like\n\ntea"),
        (f"I said:\n\n{NOTES}\n\nand so on", "I said:\n\nand so on"),
        ("a <recalled_notes> b", "a <recalled_notes> b"),
        ("a </recalled_notes> b", "a </recalled_notes> b"),
        ("a <recalled_notes> b </recalled_notes> c </recalled_notes> d", "a  c </recalled_notes> d"),
        ("a <recalled_notes> b <recalled_notes> c </recalled_notes> d", "a  d"),
        (NOTES, ""),
        (f"You said: Hi! {BLOCK}\nWhy?", "You said: Hi!\nWhy?"),
        (f"{BLOCK}{NOTES}Why?{BLOCK}", "Why?"),
        ('Cut off: <memory>{"memories":["likes t', "Cut off:"),
        (f"What does `{BLOCK}` do?", f"What does `{BLOCK}` do?"),
        (f"```\n{BLOCK}\n```", f"```\n{BLOCK}\n```"),
        ("My <memory> is bad, 1 < 2", "My <memory> is bad, 1 < 2"),
        ("\n\n  def f():\n      pass  \n \n\t\n\n  f()\n", "  def f():\n      pass\n\n  f()"),
    ],
)
def test_what_is_ours_is_left_out_and_blank_space_tidied(text: str, kept: str) -> None:
    assert without_frames(text) == kept


@given(
    st.lists(st.one_of(texts, st.sampled_from([NOTES, BLOCK, "<recalled_notes>", "</recalled_notes>"])), max_size=6).map("".join)
)
def test_no_line_ends_in_blanks_and_no_two_are_empty(text: str) -> None:
    kept = without_frames(text)
    assert all(line == line.rstrip() for line in kept.split("\n"))
    assert "\n\n\n" not in kept
