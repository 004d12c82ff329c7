"""Settings of a proxy that runs."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from proxy.config import Config, Log, Recall, Store, load
from proxy.errors import ConfigError, SettingsError
from proxy.settings import Change, Settings

FIXED = "can't be changed while the proxy runs, only before it starts"


@pytest.fixture
def start(tmp_path):
    return Config(store=Store(path=str(tmp_path / "data")))


@pytest.fixture
def applied():
    return []


@pytest.fixture
def settings(start, applied):
    return Settings(start, applied.append, environ={})


def test_at_the_start_nothing_is_changed(settings, start, applied):
    assert (settings.config, settings.changed, settings.kept, applied) == (start, {}, {}, [])


def test_what_is_changed_is_in_force_and_told(settings, start, applied, log):
    changed = settings.change({"recall": {"limit": 8, "min_score": 0.5}, "log": {"level": "debug"}})
    assert changed == replace(start, recall=Recall(limit=8, min_score=0.5), log=Log(level="debug"))
    assert (settings.config, applied) == (changed, [changed])
    assert settings.changed == {
        "recall.limit": Change(5, 8),
        "recall.min_score": Change(0.25, 0.5),
        "log.level": Change("info", "debug"),
    }
    options = {"recall.limit": 8, "recall.min_score": 0.5, "log.level": "debug"}
    assert log == [{"event": "settings changed", "options": options, "kept": False, "log_level": "info"}]


def test_what_is_changed_back_is_not_changed(settings, start):
    settings.change({"recall": {"limit": 8}})
    settings.change({"recall": {"turn_limit": 1}})
    settings.change({"recall": {"limit": 5}})
    assert settings.changed == {"recall.turn_limit": Change(3, 1)}


@pytest.mark.parametrize("tree", [{}, {"recall": {}}, {"log": ""}])
def test_nothing_may_be_changed(settings, start, tree):
    assert settings.change(tree, persist=True) == start
    assert settings.kept == {}


@pytest.mark.parametrize(
    ("section", "value", "read"),
    [
        ({"limit": 8}, "limit", 8),
        ({"limit": "8"}, "limit", 8),
        ({"limit": 8.0}, "limit", 8),
        ({"min_score": 0}, "min_score", 0.0),
        ({"min_score": "0.5"}, "min_score", 0.5),
        ({"show_turns": "None"}, "show_turns", "none"),
        ({"recency_days": 9}, "recency_days", 9),
    ],
)
def test_values_are_as_json_has_them_or_texts(settings, section, value, read):
    found = getattr(settings.change({"recall": section}).recall, value)
    assert (found, type(found)) == (read, type(read))


@pytest.mark.parametrize(
    ("tree", "option", "said"),
    [
        ({"recall": {"limit": 0}}, "recall.limit", "'0' is not allowed; use 1 to 50"),
        ({"recall": {"limit": 8.5}}, "recall.limit", "'8.5' is not allowed; use a whole number"),
        ({"recall": {"limit": 1e300}}, "recall.limit", "'1e+300' is not allowed; use a whole number"),
        ({"recall": {"limit": True}}, "recall.limit", "'true' is not allowed; use a whole number"),
        ({"recall": {"limit": None}}, "recall.limit", "'null' is not allowed; use a whole number"),
        ({"recall": {"limit": [8]}}, "recall.limit", "must be one value, not a list"),
        ({"recall": {"min_score": float("nan")}}, "recall.min_score", "'nan' is not allowed; use a finite number"),
        ({"recall": {"dense_weight": 1.1}}, "recall.dense_weight", "'1.1' is not allowed; use 0 to 1"),
        ({"log": {"level": "loud"}}, "log.level", "'loud' is not allowed; use one of debug, info, warning, error"),
        ({"log": {"levle": "info"}}, "log.levle", "unknown option; allowed here: level, format"),
        ({"recall": 5}, "recall", "must be a mapping, not '5'"),
        ({"recall": {"deadline_ms": 5}}, "recall.deadline_ms", FIXED),
        ({"recall": {"enabled": "nonsense"}}, "recall.enabled", FIXED),
        ({"store": {"api_key": "sk-1"}}, "store.api_key", FIXED),
        ({"upstreams": []}, "upstreams", FIXED),
    ],
)
def test_a_mistake_is_told_as_in_the_file_and_changes_nothing(settings, start, tree, option, said):
    with pytest.raises(ConfigError) as caught:
        settings.change({"recall": {"turn_limit": 9}} | tree, persist=True)
    assert (str(caught.value), caught.value.option) == (f"{option}: {said}", option)
    assert (settings.config, settings.kept) == (start, {})


def test_what_is_kept_holds_at_the_next_start(settings, start, tmp_path, log):
    settings.change({"recall": {"turn_limit": 0}})
    settings.change({"recall": {"limit": 8}, "log": {"level": "error"}}, persist=True)
    settings.change({"recall": {"recency_weight": 1e-5}}, persist=True)
    path = tmp_path / "data" / "settings.yaml"
    assert path.read_text().endswith("log:\n  level: error\nrecall:\n  limit: 8\n  recency_weight: 1.0e-05\n")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = load(None, environ={}, overrides={"store.path": start.store.path})
    assert again == replace(start, recall=Recall(limit=8, recency_weight=1e-5), log=Log(level="error"))
    log.clear()
    restarted = Settings(again, lambda _: None)
    kept = {"log.level": "error", "recall.limit": 8, "recall.recency_weight": 1e-5}
    assert (restarted.changed, restarted.kept) == ({}, kept)
    assert log == [{"event": "kept from an earlier run", "file": str(path), "options": sorted(kept), "log_level": "info"}]


def test_a_variable_that_overrides_what_is_kept_is_named(start):
    settings = Settings(start, lambda _: None, environ={"MEMORY_PROXY_RECALL__LIMIT": "3", "MEMORY_PROXY_LOG__LEVEL": ""})
    assert (settings.overriding("recall.limit"), settings.overriding("log.level")) == ("MEMORY_PROXY_RECALL__LIMIT", None)


def test_what_can_t_be_kept_is_not_changed(settings, start, applied, tmp_path):
    (tmp_path / "data").touch()
    with pytest.raises(SettingsError, match=r"settings.yaml can't be written: .*; nothing was changed\Z"):
        settings.change({"recall": {"limit": 8}}, persist=True)
    assert (settings.config, settings.kept, applied) == (start, {}, [])
    assert settings.change({"recall": {"limit": 8}}).recall.limit == 8


def test_what_an_operator_wrote_into_the_file_meanwhile_stays(settings, tmp_path):
    settings.change({"recall": {"limit": 8}}, persist=True)
    path = tmp_path / "data" / "settings.yaml"
    path.write_text("recall: {turn_limit: 9}\n")
    settings.change({"log": {"level": "debug"}}, persist=True)
    assert settings.kept == {"recall.turn_limit": 9, "log.level": "debug"}
    path.write_text("recall: {turn_limit: 99}\n")
    with pytest.raises(SettingsError, match=r"settings.yaml: recall.turn_limit: '99' is not allowed; .*nothing was changed"):
        settings.change({"log": {"level": "error"}}, persist=True)
    assert (settings.config.log.level, path.read_text()) == ("debug", "recall: {turn_limit: 99}\n")


def test_a_file_that_can_t_be_read_at_the_start_is_said(start, tmp_path, log):
    path = tmp_path / "data" / "settings.yaml"
    path.mkdir(parents=True)
    assert Settings(start, lambda _: None).kept == {}
    [line] = log
    assert (line["event"], line["file"], line["log_level"]) == (
        "starting without what was to be kept",
        str(path),
        "warning",
    )


def test_changes_from_several_threads_are_all_kept(settings):
    options = ["limit", "token_budget", "turn_limit", "turn_token_budget", "recency_days"]
    with ThreadPoolExecutor() as pool:
        for each in [pool.submit(settings.change, {"recall": {option: 50}}, persist=True) for option in options]:
            each.result()
    assert settings.kept == {f"recall.{option}": 50 for option in options}
    assert settings.changed.keys() == settings.kept.keys()
