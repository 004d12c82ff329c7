"""The keys that callers show, and what becomes of them."""

from __future__ import annotations

import pytest

from proxy.core.keys import KeyRing, ShownKey, replace_keys, shown_keys, tenant_of

PROTOCOL = "openai-insecure-api-key"


class TestShown:
    @pytest.mark.parametrize(
        ("name", "value", "shown"),
        [
            ("Authorization", "Bearer k1", ShownKey("authorization", "k1")),
            ("authorization", "bearer   k1 ", ShownKey("authorization", "k1")),
            ("AUTHORIZATION", "Basic dTpw", ShownKey("authorization", "Basic dTpw")),
            ("api-key", " k1 ", ShownKey("api-key", "k1")),
            ("X-Api-Key", "k1", ShownKey("x-api-key", "k1")),
            ("Sec-WebSocket-Protocol", f"realtime, {PROTOCOL}.k1,openai-beta.realtime-v1", ShownKey("authorization", "k1")),
        ],
    )
    def test_a_key_is_seen_in_each_form(self, name: str, value: str, shown: ShownKey):
        assert shown_keys([("Accept", "*/*"), (name, value)]) == [shown]

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("Authorization", ""),
            ("Authorization", "Bearer "),
            ("api-key", " "),
            ("Sec-WebSocket-Protocol", f"realtime, {PROTOCOL}., {PROTOCOL}"),
            ("X-Authorization", "Bearer k1"),
            ("Cookie", "api-key=k1"),
        ],
    )
    def test_what_is_empty_or_elsewhere_is_none(self, name: str, value: str):
        assert shown_keys([(name, value)]) == []

    def test_authorization_comes_first_wherever_it_stands(self):
        headers = [("x-api-key", "c"), ("api-key", "b"), ("Authorization", "Bearer a"), ("api-key", "d")]
        assert [each.key for each in shown_keys(headers)] == ["a", "b", "d", "c"]

    def test_it_is_not_shown_to_others(self):
        assert "k1" not in repr(shown_keys([("api-key", "k1")]))


class TestReplacing:
    HEADERS = (
        ("Accept", "*/*"),
        ("authorization", "Bearer mine"),
        ("Api-Key", "mine"),
        ("X-API-Key", "other"),
        ("Sec-WebSocket-Protocol", f"{PROTOCOL}.mine, realtime"),
        ("sec-websocket-protocol", f"{PROTOCOL}.mine"),
    )
    KEPT = (("Accept", "*/*"), ("Sec-WebSocket-Protocol", "realtime"))

    def test_no_key_of_the_caller_s_is_left(self):
        assert replace_keys(self.HEADERS, None) == [*self.KEPT]

    @pytest.mark.parametrize(
        ("by", "header"),
        [
            (ShownKey("authorization", "sk-1"), ("authorization", "Bearer sk-1")),
            (ShownKey("api-key", "sk-1"), ("api-key", "sk-1")),
        ],
    )
    def test_the_upstream_s_key_comes_in_the_form_of_the_one_that_was_shown(self, by: ShownKey, header: tuple[str, str]):
        assert replace_keys(self.HEADERS, by) == [*self.KEPT, header]


class TestRing:
    RING = KeyRing([("k1", "one"), ("k2", "two"), ("ü", "three")])

    @pytest.mark.parametrize(("key", "found"), [("k1", "one"), ("k2", "two"), ("ü", "three")])
    def test_it_knows_its_keys(self, key: str, found: str):
        assert self.RING.find(key) == found

    @pytest.mark.parametrize("key", ["", "k", "k11", "K1", "k1 ", "\udcff"])
    def test_and_no_others(self, key: str):
        assert self.RING.find(key) is None


class TestTenant:
    def test_it_is_the_same_for_the_same_key_and_secret_only(self):
        tenants = [tenant_of("sk-1", b"s"), tenant_of("sk-1", b"s"), tenant_of("sk-2", b"s"), tenant_of("sk-1", b"t")]
        assert [tenants.index(each) for each in tenants] == [0, 0, 2, 3]

    def test_it_does_not_hold_the_key(self):
        assert tenant_of("sk-1", b"\x00" * 32) == "key-b57d26e10103885bedb56b4ce33a63c854faa43c692f28cedc19592f13b58b6b"

    def test_bytes_that_are_no_text_are_a_key_too(self):
        assert tenant_of("\udcff", b"s") != tenant_of("\udcfe", b"s")
