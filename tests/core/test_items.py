"""What a block's body says, however a model wrote it."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.blocks import Block
from proxy.core.items import MAX_CONTENT_CHARS, Extracted, Item, read_block

TEA = Item("Likes tea")


def read(body: str, *, plain: bool = False, cut: bool = False) -> Extracted:
    return read_block(Block(body, plain=plain, cut=cut))


class TestWhole:
    @pytest.mark.parametrize(
        ("body", "expected"),
        [
            ('{"memories":[{"content":"Likes tea","category":"preference"}]}', Extracted((Item("Likes tea", "preference"),))),
            ('{"memories":[{"text":"Likes tea"}]}', Extracted((TEA,))),
            ('{"memories":[{"content":null,"text":"Likes tea"}]}', Extracted((TEA,))),
            ('{"memories":["Likes tea","Is 40"]}', Extracted((TEA, Item("Is 40")))),
            ('{"memories":"Likes tea"}', Extracted((TEA,))),
            ('{"memories":{"content":"Likes tea"}}', Extracted((TEA,))),
            ('["Likes tea"]', Extracted((TEA,))),
            ('[{"content":"Likes tea","replaces":" m1 "}]', Extracted((Item("Likes tea", replaces="m1"),))),
            ('{"memories":[],"forget":["m1"," m2 "]}', Extracted(forget=("m1", "m2"))),
            ('{"forget":"m1"}', Extracted(forget=("m1",))),
            ('{"forget":["m1",2,null,""],"memories":null}', Extracted(forget=("m1",))),
            ("[]", Extracted()),
            ('{"memories":[null,1,true,[],{},{"content":5},{"content":" "},"",["nested"],"Likes tea"]}', Extracted((TEA,))),
            ('  ```json\n{"memories":["Likes tea"]}\n```  ', Extracted((TEA,))),
            ('```\n["Likes tea"]', Extracted((TEA,))),
            ('````JSON ["Likes tea"]````', Extracted((TEA,))),
            ('~~~\n["Likes tea"]\n~~~', Extracted((TEA,))),
            ('{"memories":["half \\ud83d a pair"]}', Extracted((Item("half ? a pair"),))),
            ('{"memories":[{"content":"Likes tea","replaces":7,"category":9}]}', Extracted((TEA,))),
        ],
    )
    def test_every_form_is_read(self, body: str, expected: Extracted):
        assert read(body) == expected

    @pytest.mark.parametrize(
        ("written", "type_"),
        [
            *[("preference", "preference"), (" Preference ", "preference"), ("fact", "semantic"), ("context", "contextual")],
            *[("emotional", "emotional"), ("EPISODIC", "episodic"), ("procedural", "procedural"), ("contextual", "contextual")],
            *[("semantic", "semantic"), ("", "semantic"), ("hobby", "semantic"), ("turn", "semantic")],
        ],
    )
    def test_categories_and_types_are_read_and_unknown_ones_are_facts(self, written: str, type_: str):
        assert read(json.dumps([{"content": "x", "category": written}])).items == (Item("x", type_),)
        assert read(json.dumps([{"content": "x", "type": written}])).items == (Item("x", type_),)

    @pytest.mark.parametrize(
        ("written", "importance"),
        [
            *[("1", 1.0), ("0", 0.0), ("0.25", 0.25), ("true", None), ("null", None), ('"0.5"', None)],
            *[("7", None), ("-1", None), ("NaN", None), ("1e999", None), ("9" * 400, None)],
        ],
    )
    def test_importance_is_a_number_from_0_to_1_or_none(self, written: str, importance: float | None):
        assert read(f'[{{"content":"x","importance":{written}}}]').items == (Item("x", importance=importance),)

    @pytest.mark.parametrize(("written", "scope"), [("session", "session"), ("user", "user"), ("global", "user"), (5, "user")])
    def test_one_user_says_nothing_for_all(self, written: object, scope: str):
        assert read(json.dumps([{"content": "x", "scope": written}])).items == (Item("x", scope=scope),)

    def test_contents_have_a_bound(self):
        assert read(json.dumps(["x" * 5000])).items == (Item("x" * MAX_CONTENT_CHARS),)

    def test_a_cut_block_that_is_whole_by_chance_is_malformed_all_the_same(self):
        assert read('["Likes tea"]', cut=True) == Extracted((TEA,), malformed=True)
        assert read('{"memories":["Likes tea"]}', cut=True) == Extracted((TEA,), malformed=True)


class TestPlain:
    def test_each_line_is_an_item_without_its_bullet(self):
        body = "\n- Likes tea\n* Is 40\n  + a\n• b\n1. c\n12) d\n\n-5 degrees\n1.5 litres\nRome - Italy\n"
        contents = [item.content for item in read(body, plain=True).items]
        assert contents == ["Likes tea", "Is 40", "a", "b", "c", "d", "-5 degrees", "1.5 litres", "Rome - Italy"]

    def test_it_is_never_malformed(self):
        assert read('{"memories"', plain=True, cut=True) == Extracted((Item('{"memories"'),))


class TestBroken:
    @pytest.mark.parametrize(
        ("body", "contents"),
        [
            ('{"memories":[{"content":"a"},{"content":"b"', ["a"]),
            ('{"memories":[{"content":"a"},]}', ["a"]),
            ('{"memories":[{"content":"a"} {"content":"b"}]}', ["a", "b"]),
            ('{"memories":[{"content":"a"}; {"content":"b"}]}', ["a", "b"]),
            ('{"memories":[{"content":"say "hi" now"},{"content":"b"}]}', ["b"]),
            ('{"memories":["say "hi" now", {"content":"b"}]}', ["b"]),
            ('{"memories":[{"content":"line\nbreak"},{"content":"b"}]}', ["b"]),
            ('{"memories":[{\'content\':\'a\'},{"content":"b"}]}', ["b"]),
            ('{"memories":[{"content":"a","x":{"content":"inner"}', []),
            ('{"memories":[{"content":"a","x":[{"y":1}', []),
            ('{"memories":{"content":"a"},"forget":["m1"', ["a"]),
            ('{"memories":"a","forget":["m1"', ["a"]),
            ('{"forget":["m1"],"memories":[{"content":"a"}', ["a"]),
            ('["a","b"', ["a", "b"]),
            ('["a","b', ["a"]),
            ('["a"]["b"]', ["a"]),
            ('[{"content":"a"}]\nThat is all.', ["a"]),
            ('{"memories":["a",' + "9" * 5000 + ',{"content":"b"}]}', ["a", "b"]),
            ('{"memories":["a",' + "[" * 100_000, ["a"]),
            ('{"memories":["a"' + "]" * 100_000, ["a"]),
            ('{"memories"', []),
            ('{"memories":', []),
            ('{"memories":[', []),
            ("{", []),
            ("[", []),
            ("", []),
            ("no JSON at all", []),
        ],
    )
    def test_what_is_whole_is_kept(self, body: str, contents: list[str]):
        assert read(body, cut=True) == Extracted(tuple(map(Item, contents)), read(body).forget, malformed=True)

    @pytest.mark.parametrize(
        ("body", "forget"),
        [
            ('{"memories":[],"forget":["m1","m2"]', ("m1", "m2")),
            ('{"memories":[],"forget":["m1","m2', ("m1",)),
            ('{"forget":["m1"],"memories":[{"cont', ("m1",)),
            ('{"forget":"m1","memories":[{"cont', ("m1",)),
            ('{"memories":["say \\"forget\\":[\\"m1\\"]"', ()),
            ('{"forget":', ()),
        ],
    )
    def test_ids_that_are_whole_are_kept(self, body: str, forget: tuple[str, ...]):
        assert read(body).forget == forget

    def test_json_that_is_no_block_says_nothing(self):
        assert [read(body) for body in ("5", '"a"', "null", "NaN")] == [Extracted(malformed=True)] * 4

    def test_after_too_many_broken_items_the_rest_is_left(self):
        assert read('{"memories":[' + "{{," * 100 + '{"content":"a"}]}') == Extracted(malformed=True)


# Items as models write them; quotes, braces and commas in the texts are what could mislead the salvage.

_TEXTS = st.text(st.sampled_from('a {}[],:"\\é😀'), max_size=8).map(lambda words: f"x{words}x")
_ITEMS = st.one_of(
    _TEXTS,
    st.builds(lambda words: {"content": words}, _TEXTS),
    st.builds(lambda words, old: {"category": "fact", "content": words, "replaces": old}, _TEXTS, _TEXTS),
)


@settings(deadline=None)
@given(st.lists(_ITEMS, max_size=4), st.booleans(), st.booleans())
def test_a_body_cut_anywhere_keeps_exactly_its_whole_items(values: list[object], bare: bool, spaced: bool):
    opening = "[" if bare else '{ "memories" : [' if spaced else '{"memories":['
    texts = [json.dumps(value, ensure_ascii=spaced) for value in values]
    body = opening + ", ".join(texts) + ("]" if bare else "]}")
    expected = read(body).items
    assert len(expected) == len(values)
    ends = [len(opening + ", ".join(texts[: i + 1])) for i in range(len(texts))]
    for at in range(len(body)):
        whole = sum(end <= at for end in ends)
        assert read(body[:at], cut=True).items == expected[:whole]


_JUNK = st.lists(
    st.sampled_from(
        [
            *['{"memories":[', '{"content":"', '"forget":[', '"text":', "```json", *'[]{},:"\\`', "m1", "é", " ", "5"],
            *["NaN", "1e999", "9" * 5000, "\\ud83d", "\ud83d", "\x00", "\u2028", "\n- ", "1) "],
        ]
    ),
    max_size=20,
).map("".join)


@settings(deadline=None)
@given(_JUNK, st.booleans(), st.booleans())
def test_nothing_in_a_body_makes_reading_fail(body: str, plain: bool, cut: bool):
    found = read(body, plain=plain, cut=cut)
    for item in found.items:
        assert 0 < len(item.content.encode().decode()) <= MAX_CONTENT_CHARS


@pytest.mark.parametrize(
    "body",
    [
        "{" * 256_000,
        "[" * 256_000,
        '{"a":' * 50_000,
        '[{"a":[' * 36_000,
        '{"memories":[' + "{" * 256_000,
        '{"memories":["' + '\\"' * 128_000,
        '{"memories":[' + ('{"a":"' + "x" * 240 + '","b":') * 1000,
        '{"memories"' * 20_000,
        '{"memories":[' + "{ " * 128_000,
        "```json" + " " * 256_000 + "x" + " " * 1000,
        "`" * 256_000,
        '"memories"' + " " * 250_000,
        '["' + "a " * 128_000,
    ],
    ids=lambda body: f"{body[:12]}…",
)
def test_a_body_of_the_largest_size_is_read_in_linear_time(body: str):
    assert read(body).malformed


def test_ten_thousand_items_are_read():
    items = ["x"] * 10_000
    assert len(read(json.dumps(items)).items) == len(read(json.dumps(items)[:-1]).items) == 10_000
