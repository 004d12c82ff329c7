"""The dashboard and the alerts speak of what the proxy really tells, and Prometheus understands them."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from tests.fakes import ABOUT_TEA, memory_proxy, model_api

ROOT = Path(__file__).parents[2]
ALERTS = ROOT / "config/prometheus/alerts.yaml"
DASHBOARD = json.loads((ROOT / "config/grafana/dashboard.json").read_text(encoding="utf-8"))
RULES = [rule for group in yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"] for rule in group["rules"]]
PROMTOOL = shutil.which("promtool")

needs_promtool = pytest.mark.skipif(
    PROMTOOL is None, reason="promtool is not on PATH: on Debian it is in the package prometheus (apt-get install prometheus)"
)


@pytest.fixture(scope="module")
def scrape(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What ``/metrics`` says after a chat that told something, and a secret."""

    async def ask() -> str:
        async with model_api() as model, memory_proxy(model, tmp_path_factory.mktemp("data")) as proxy:
            model.text = f"Noted.\n{ABOUT_TEA}"
            chat = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "My key is sk-proj-" + "a1" * 16}]}
            async with aiohttp.ClientSession() as client:
                async with client.post(f"{proxy.url}/chat/completions", json=chat) as answer:
                    await answer.read()
                await proxy.settled()
                async with client.get(f"{proxy.address}/metrics") as answer:
                    return await answer.text()

    return asyncio.run(ask())


def names_in(promql: str) -> set[str]:
    return set(re.findall(r"\b(?:memory_proxy|process|python)_\w+", promql))


def told(scrape: str) -> set[str]:
    return {re.match(r"\w+", line)[0] for line in scrape.splitlines() if line and not line.startswith("#")}


def panels() -> Iterator[dict[str, Any]]:
    return (panel for panel in DASHBOARD["panels"] if panel["type"] != "row")


def queries() -> list[str]:
    return [target["expr"] for panel in panels() for target in panel["targets"]]


def test_every_figure_of_the_dashboard_is_told(scrape: str) -> None:
    asked = {name for query in queries() for name in names_in(query)}
    variables = {name for each in DASHBOARD["templating"]["list"] for name in names_in(str(each.get("definition", "")))}
    assert len(asked) > 40
    assert sorted((asked | variables) - told(scrape)) == []


def test_every_figure_of_the_alerts_is_told(scrape: str) -> None:
    asked = {name for rule in RULES for name in names_in(rule["expr"] + " ".join(rule["annotations"].values()))}
    assert len(asked) > 20
    assert sorted(asked - told(scrape)) == []


def test_every_figure_that_is_told_of_the_proxy_is_shown(scrape: str) -> None:
    shown = {name for query in queries() for name in names_in(query)}
    families = set(re.findall(r"^# TYPE (memory_proxy_\w+)", scrape, re.MULTILINE))
    assert sorted(each for each in families if not any(name.startswith(each) for name in shown)) == []


def test_the_dashboard_can_be_imported_anywhere() -> None:
    source = {"type": "prometheus", "uid": "${datasource}"}
    assert DASHBOARD["schemaVersion"] >= 39
    assert [each["name"] for each in DASHBOARD["templating"]["list"]] == ["datasource", "job", "instance"]
    assert [
        panel["title"] for panel in panels() if panel["datasource"] != source or not panel["fieldConfig"]["defaults"]["unit"]
    ] == []
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))


def test_no_panel_lies_on_another() -> None:
    taken: dict[tuple[int, int], str] = {}
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        for place in ((x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])):
            assert place not in taken, f"{panel['title']} lies on {taken[place]}"
            assert place[0] < 24
            taken[place] = panel["title"]


def test_every_alert_says_what_is_wrong_and_what_to_do() -> None:
    assert [rule["alert"] for rule in RULES if not {"summary", "description"} <= rule["annotations"].keys()] == []
    assert {rule["labels"]["severity"] for rule in RULES} == {"info", "warning", "critical"}


@needs_promtool
@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "rules", "config/prometheus/alerts.yaml"),
        ("check", "config", "config/prometheus/prometheus.yaml"),
        ("test", "rules", "tests/config/alerts_test.yaml"),
    ],
    ids=" ".join,
)
def test_prometheus_takes_them(arguments: tuple[str, ...]) -> None:
    done = subprocess.run([str(PROMTOOL), *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, done.stdout + done.stderr)


@needs_promtool
def test_prometheus_understands_every_query_of_the_dashboard(tmp_path: Path) -> None:
    values = {"$__rate_interval": "1m", "$__range": "6h", "$job": "a", "$instance": "b"}
    rules = []
    for i, query in enumerate(queries()):
        for name, value in values.items():
            query = query.replace(name, value)
        rules.append({"record": f"q{i}", "expr": query})
    (tmp_path / "queries.yaml").write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}), encoding="utf-8")
    command = [str(PROMTOOL), "check", "rules", "queries.yaml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, done.stdout + done.stderr)


@needs_promtool
def test_prometheus_has_nothing_to_say_against_the_names(scrape: str) -> None:
    command = [str(PROMTOOL), "check", "metrics"]
    done = subprocess.run(command, input=scrape, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
