"""The document as a page: whole, by itself, and nothing runs in it."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from proxy.web.api.page import render
from tests.web.api.conftest import API, DOCUMENT

on_the_proxy = pytest.mark.asyncio(loop_scope="package")

VOID = {"meta", "link", "br", "hr", "img", "input"}


class Page(HTMLParser):
    """Its elements, and whether they close in their order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def values(self, name: str) -> list[str]:
        return [value for _, attributes in self.tags if (value := attributes.get(name)) is not None]

    def names(self) -> set[str]:
        return {tag for tag, _ in self.tags}


async def page_of(api: API) -> Page:
    return Page((await api.get("/docs")).text)


@on_the_proxy
async def test_every_call_and_every_schema_is_on_it(api: API) -> None:
    ids = (await page_of(api)).values("id")
    assert len(ids) == len(set(ids))
    operations = {operation["operationId"] for methods in DOCUMENT["paths"].values() for operation in methods.values()}
    schemas = {f"schema-{name}" for name in DOCUMENT["components"]["schemas"]}
    assert operations | schemas <= set(ids)


@on_the_proxy
async def test_its_html_is_sound_and_its_links_lead_somewhere(api: API) -> None:
    page = await page_of(api)
    assert page.open == []
    anchors = {link.removeprefix("#") for link in page.values("href") if link.startswith("#")}
    assert anchors <= set(page.values("id"))
    assert {link for link in page.values("href") if not link.startswith("#")} == {"openapi.json"}


@on_the_proxy
async def test_nothing_runs_and_nothing_is_fetched(api: API) -> None:
    response = await api.get("/docs")
    page = Page(response.text)
    assert page.names() & {"script", "iframe", "img", "link", "form", "object"} == set()
    assert [name for _, attributes in page.tags for name in attributes if name.startswith("on") or name in ("src", "style")] == []
    assert "url(" not in response.text
    assert "@import" not in response.text
    [style] = re.findall(r"<style>(.*?)</style>", response.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert {name: response.headers[name] for name in ("content-security-policy", "x-content-type-options", "content-type")} == {
        "content-security-policy": (
            f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        ),
        "x-content-type-options": "nosniff",
        "content-type": "text/html; charset=utf-8",
    }


@on_the_proxy
async def test_it_can_be_read_aloud_and_by_keyboard(api: API) -> None:
    page = await page_of(api)
    headings = [int(tag[1]) for tag in (tag for tag, _ in page.tags) if re.fullmatch(r"h\d", tag)]
    assert headings[0] == 1
    assert headings.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(headings))
    assert dict(page.tags)["html"] == {"lang": "en"}
    assert {"header", "nav", "main"} <= page.names()
    assert all(attributes.get("scope") in ("col", "row") for tag, attributes in page.tags if tag == "th")
    assert next(attributes for tag, attributes in page.tags if tag == "a") == {"class": "skip", "href": "#calls"}
    labelled = [attributes["aria-labelledby"] for _, attributes in page.tags if "aria-labelledby" in attributes]
    assert set(labelled) <= set(page.values("id"))


def test_what_is_written_in_the_document_is_text() -> None:
    evil = "<script>alert(1)</script>`<b>`\"'$title"
    document = {
        "openapi": evil,
        "info": {"title": evil, "version": evil, "description": evil},
        "tags": [{"name": "t", "description": evil}],
        "paths": {
            f"/{evil}": {
                "get": {
                    "operationId": "x",
                    "summary": evil,
                    "description": evil,
                    "tags": ["t"],
                    "parameters": [
                        {
                            "name": evil,
                            "in": "query",
                            "required": True,
                            "description": evil,
                            "schema": {"enum": [evil], "default": evil, "examples": [evil]},
                        }
                    ],
                    "responses": {
                        "200": {"description": evil, "content": {evil: {"schema": {"type": "string", "format": evil}}}}
                    },
                }
            }
        },
        "components": {"schemas": {"S": {"description": evil, "properties": {evil: {"const": evil, "description": evil}}}}},
    }
    text = render(document)
    assert Page(text).names() & {"script", "b"} == set()
    assert "$title" in text
