"""Every option stands in the README as in ``proxy.yaml``, and every page that is linked is there."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from proxy.config import Config, as_dict

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def options() -> dict[str, str]:
    """Each option's path and its default, as the README spells it."""
    found = {"upstreams": "[]"}
    for section, values in as_dict(Config()).items():
        if section != "upstreams":
            found |= {f"{section}.{key}": _spelled(value) for key, value in values.items()}
    return found


def _spelled(value: object) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)


def test_the_readme_names_every_option_with_its_default() -> None:
    rows = re.findall(r"^\| `([a-z_.]+)` \| `([^`]*)` \|", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert dict(rows) == options()


def test_every_section_of_the_configuration_is_documented() -> None:
    assert {path.partition(".")[0] for path in options()} == {field.name for field in dataclasses.fields(Config)}


def test_what_can_be_changed_while_it_runs_is_listed() -> None:
    section = (
        (ROOT / "docs" / "operations.md").read_text().partition("These options can be changed:")[2].partition("All others")[0]
    )
    live = [
        f"{section.name}.{each.name}"
        for section in dataclasses.fields(Config)
        if dataclasses.is_dataclass(value := getattr(Config(), section.name))
        for each in dataclasses.fields(value)
        if each.metadata.get("live")
    ]
    assert re.findall(r"`([a-z_.]+)`", section) == live


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)]+)\)", page.read_text())]
    assert [link for link in links if link and "://" not in link and not (page.parent / link).exists()] == []
