"""Whose memories a request is about, and what may be done with them."""

from typing import Any

import pytest
from multidict import CIMultiDict

from proxy.core.identity import IdentityError, Mode, checked_name, read_mode, read_owner, read_session
from proxy.core.models import Owner

USER = "X-Memory-User"


def owner(header: str | None = None, tenant: str = "default", **body: Any) -> Owner:
    return read_owner(CIMultiDict({} if header is None else {USER: header}), body, default_user="someone", tenant=tenant)


def problem(header: str | None = None, **body: Any) -> tuple[str, str]:
    with pytest.raises(IdentityError) as caught:
        owner(header, **body)
    return caught.value.source, str(caught.value)


class TestOwner:
    EVERYWHERE = {"user": "a", "safety_identifier": "b", "metadata": {"user_id": "c"}}  # noqa: RUF012

    def test_the_header_comes_first(self):
        assert owner("ann", **self.EVERYWHERE) == Owner("ann")

    def test_then_the_body_in_its_order(self):
        assert owner(**self.EVERYWHERE) == Owner("a")
        assert owner(safety_identifier="b", metadata={"user_id": "c"}) == Owner("b")
        assert owner(metadata={"user_id": "c"}) == Owner("c")

    def test_then_the_default(self):
        assert owner() == Owner("someone")

    @pytest.mark.parametrize("nothing", [None, "", "  "])
    def test_an_empty_field_is_passed_over(self, nothing: str | None):
        assert owner(user=nothing, safety_identifier="b") == Owner("b")
        assert owner(user=nothing, metadata={"user_id": nothing}) == Owner("someone")

    @pytest.mark.parametrize("metadata", [None, "text", ["user_id"], {}, {"user": "x"}])
    def test_metadata_without_a_user_is_passed_over(self, metadata: object):
        assert owner(metadata=metadata) == Owner("someone")

    def test_blanks_at_both_ends_don_t_count(self):
        assert owner("  ann\t") == owner(user=" ann ") == Owner("ann")

    def test_names_are_compared_as_the_text_they_are(self):
        names = ["u1", "U1", "u10", "u 1", "ú1", "u\u03011", "Ｕ1", "*", "u1%20", "😀"]
        assert len({owner(name).key for name in names}) == len(names)
        assert [owner(name).user for name in names] == names

    def test_what_looks_alike_or_leads_elsewhere_is_another_user(self):
        names = [
            "ann",
            "Ann",
            "аnn",
            "ann\u200b",
            "\u202eann",
            "ann\u00a0",
            "\u3000ann",
            "a nn",
            "../ann",
            "./ann",
            "/ann",
            "ann/",
        ]
        names += [
            "%61nn",
            "ann%00",
            "ann\\0",
            "ann%0d%0a",
            "'ann'",
            "ann' or '1'='1",
            "{{ann}}",
            "null",
            "None",
            "é",
            "e\u0301",
            "ﬁ",
            "fi",
        ]
        assert [owner(name).user for name in names] == [owner(user=name).user for name in names] == names
        assert len({owner(name).key for name in names}) == len(names)

    def test_everybody_is_of_the_caller_s_tenant(self):
        assert owner("ann", tenant="t") == owner(user="ann", tenant="t") == Owner("ann", "t")
        assert owner(tenant="t") == Owner("someone", "t")
        assert owner("u\u03011", tenant="t").key not in {owner("u\u03011").key, owner("t", tenant="u\u03011").key}

    def test_utf_8_in_a_header_is_the_text_that_the_body_would_say(self):
        as_aiohttp_reads_it = "Zoë 漢".encode().decode("ascii", "surrogateescape")
        assert owner(as_aiohttp_reads_it) == owner("Zoë 漢") == owner(user="Zoë 漢")

    @pytest.mark.parametrize(
        ("name", "why"),
        [
            ("", "is empty; leave it out or name somebody"),
            (" \t ", "is empty; leave it out or name somebody"),
            ("é" * 2048, "is 4096 bytes long; at most 1024 are allowed"),
            ("a\x00b", "must not hold control characters"),
            ("\r\nann", "must not hold control characters"),
            ("ann\n", "must not hold control characters"),
            ("ann\x1f", "must not hold control characters"),
            ("\u0085ann", "must not hold control characters"),
            ("a\x1fb", "must not hold control characters"),
            ("a\x7fb", "must not hold control characters"),
            ("a\x9bb", "must not hold control characters"),
            ("Zo\udceb", "must be UTF-8 text"),
            ("half \ud83d", "must be UTF-8 text"),
        ],
    )
    def test_a_header_that_names_nobody_is_an_error(self, name: str, why: str):
        assert problem(name) == (USER, f"{USER}: {why}")

    @pytest.mark.parametrize("source", ["user", "safety_identifier", "metadata.user_id"])
    def test_a_bad_name_in_the_body_says_where_it_stood(self, source: str):
        body = {"metadata": {"user_id": "a\nb"}} if "." in source else {source: "a\nb"}
        assert problem(**body) == (source, f"{source}: must not hold control characters")

    @pytest.mark.parametrize("name", [5, 0, True, ["ann"], {"id": "ann"}])
    def test_a_name_that_is_no_text_is_not_taken_for_the_default_user(self, name: object):
        assert problem(user=name) == ("user", "user: must be a string")

    def test_the_longest_name_is_allowed(self):
        assert owner("é" * 512) == Owner("é" * 512)

    def test_the_name_is_measured_without_its_blanks(self):
        assert checked_name("x", " " * 2000 + "ann") == "ann"


class TestMode:
    @pytest.mark.parametrize(
        ("text", "mode"),
        [(None, Mode.FULL), ("full", Mode.FULL), ("read", Mode.READ), (" WRITE ", Mode.WRITE), ("Off", Mode.OFF)],
    )
    def test_it_is_read_in_any_case(self, text: str | None, mode: Mode):
        assert read_mode(CIMultiDict({} if text is None else {"x-memory-mode": text})) is mode

    def test_without_one_the_default_holds(self):
        assert (read_mode({}, default=Mode.READ), read_mode({"X-Memory-Mode": "off"}, default=Mode.READ)) == (Mode.READ, Mode.OFF)

    @pytest.mark.parametrize("text", ["", "on", "full,read", "readonly"])
    def test_any_other_is_an_error(self, text: str):
        with pytest.raises(IdentityError) as caught:
            read_mode({"X-Memory-Mode": text})
        assert str(caught.value) == f"X-Memory-Mode: {text!r} is not allowed; use full, read, write or off"

    def test_each_allows_what_its_name_says(self):
        allowed = {mode.value: (mode.recalls, mode.extracts) for mode in Mode}
        assert allowed == {"full": (True, True), "read": (True, False), "write": (False, True), "off": (False, False)}


class TestSession:
    def test_without_the_header_the_messages_must_tell(self):
        assert read_session({}) is None

    def test_the_header_names_it(self):
        assert read_session({"X-Memory-Session": " s1 "}) == "s1"

    def test_an_empty_one_is_an_error(self):
        with pytest.raises(IdentityError, match=r"\AX-Memory-Session: is empty"):
            read_session({"X-Memory-Session": ""})
