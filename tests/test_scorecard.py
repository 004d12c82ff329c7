"""The scorecard runs, with next to no work; what it measures then means nothing. Its page is made of its JSON alone."""

from __future__ import annotations

import json
import random
from contextlib import ExitStack

import pytest

from benchmarks.rows import Effort, once, ratio
from benchmarks.scorecard import cluster, page, scale, strip, table
from benchmarks.scorecard.__main__ import main, measure, merged
from benchmarks.scorecard.contents import ROWS, Entry
from benchmarks.scorecard.figures import FORMAT, OURS, Figure, of_row, ours
from benchmarks.scorecard.peers import PEERS, PINS, ROOT, version
from benchmarks.scorecard.plots import have_matplotlib
from benchmarks.scorecard.stage import Stage
from benchmarks.scorecard.system import NotStarted, command, cpu_s, free_port, resident_mb
from benchmarks.scorecard.upstream import Script
from tests.core.hostile import ANSWERS

LEAST = Effort(rounds=1, share=0.005)


@pytest.fixture
def stage():
    with ExitStack() as stack:
        yield Stage(stack, peers=False, memories=200)


def test_rows_are_measured_beside_the_others(stage, capfd, model_dir):
    """One run, as the contenders are started once."""
    rows = {row["row"]: row for row in measure(["request-cpu", "streams", "abort", "agent-loop"], LEAST, stage)}
    assert [row["missing"] for row in rows.values()] == [None] * 4
    printed = capfd.readouterr().out
    assert all(f"`scripts/scorecard {name}`" in printed for name in rows)
    measured = {name: set(row["figures"][0]["measured"]) for name, row in rows.items()}
    beside = {"bare aiohttp", "ours, memory off", "ours, memory on"}
    assert measured["request-cpu"] - {"nginx"} == beside | {"ours, same question again", "ours, memory on, int8"}
    assert measured["streams"] - {"nginx"} == beside
    # The bare proxy goes on for ever when its client has left.
    assert measured["abort"] - {"nginx"} == {"direct", "ours, memory on"}
    assert list(rows["abort"]["figures"][0]["missing"])[-1] == "bare aiohttp"
    assert rows["agent-loop"]["figures"][0]["measured"][OURS]["median"] == 1


def test_the_strip_is_right(stage):
    [stripped] = measure(["strip"], LEAST, stage)
    met = {each["figure"]: each["met"] for each in stripped["figures"]}
    assert met["… differences from the answer read whole"] is True
    assert met["… events altered that need not have been"] is True


def test_stores_of_several_sizes_are_measured_in_turns(tmp_path):
    folders = {scale.Crowd.of(5): tmp_path / "small", scale.Crowd(60, users=3): tmp_path / "large"}
    filled, found = scale.fill(folders), scale.ask(folders, 2, queries=3, single=2)
    measured = [each.as_json() for each in scale._figures(filled, found)]
    assert {frozenset(each["measured"]) for each in measured} == {frozenset({"5", "60 of 3 users"})}
    assert {each["ours"] for each in measured} == {"60 of 3 users"}
    assert [each["measured"]["5"]["rounds"] for each in measured] == [2, 2, 2, 1, 1, 1]


def test_a_row_that_fails_says_why_and_the_others_go_on(stage, monkeypatch, capsys):
    def fails(_effort, _stage):
        yield ours("one", "ms", 1.0)
        raise NotStarted("no such program")

    monkeypatch.setitem(ROWS, "alone", Entry("Overhead", "Alone", fails))
    monkeypatch.setitem(ROWS, "strip", Entry("Strip", "Strip", lambda *_: iter([ours("two", "", 2.0)])))
    failed, well = measure(["alone", "strip"], LEAST, stage)
    assert (failed["missing"], well["missing"]) == ("NotStarted: no such program", None)
    assert "not measured: NotStarted: no such program" in capsys.readouterr().out


# The JSON.


def row(name="first-byte", *figures, missing=None, effort="full"):
    return {
        "row": name,
        "section": ROWS[name].section,
        "title": ROWS[name].title,
        "command": f"scripts/scorecard {name}",
        "effort": effort,
        "at": "2026-11-28T14:00:00+00:00",
        "seconds": 12.3,
        "load": [0.5, 1.5],
        "missing": missing,
        "figures": [each.as_json() for each in figures],
    }


ADDED = Figure(
    "added to the first byte",
    "ms",
    "ours, memory on",
    {"nginx": [0.1, 0.2, 0.3], "ours, memory on": [1.0, 3.0, 2.0]},
    missing={"headroom-ai 1": "not installed: scripts/peers headroom"},
    at_most=1.5,
    note="each a new question",
)


class TestAFigure:
    def test_is_the_median_of_its_rounds_with_their_spread_beside_the_others(self):
        assert ADDED.as_json() == {
            "figure": "added to the first byte",
            "unit": "ms",
            "ours": "ours, memory on",
            "measured": {
                "nginx": {"median": 0.2, "least": 0.1, "most": 0.3, "rounds": 3},
                "ours, memory on": {"median": 2.0, "least": 1.0, "most": 3.0, "rounds": 3},
            },
            "missing": {"headroom-ai 1": "not installed: scripts/peers headroom"},
            "bar": {"at_most": 1.5},
            "met": False,
            "note": "each a new question",
        }

    def test_reads_as_one_line(self):
        assert next(table.lines(row("first-byte", ADDED))).split(" | ")[1:4] == [
            "2 (1 – 3) ms, bar ≤ 1.5".ljust(44),
            "over  ",
            "nginx 0.200; headroom-ai 1 not measured (not installed: scripts/peers headroom)",
        ]

    def test_of_which_ours_could_not_be_measured_meets_nothing(self):
        figure = Figure("abort", "ms", "ours", {"nginx": [1.0]}, missing={"ours": "gone"}, at_most=2).as_json()
        assert (figure["met"], table.own(figure)) == (None, "not measured: gone")

    def test_of_a_benchmark_s_row_has_its_numbers(self):
        counted, compared = of_row(once("rows kept", 49, at_most=55)), of_row(ratio("CPU", [(10, 12), (10, 11)], unit="µs"))
        assert (counted.rounds, counted.at_most) == ({OURS: (49,)}, 55)
        assert (compared.unit, compared.rounds) == ("×", {OURS: (1.2, 1.1)})


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (12_345.6, "12,346"), (99.96, "100.0"), (1.234, "1.23"), (0.7761, "0.776"), (0.0123, "0.012"), (3.0, "3")],
)
def test_numbers_have_about_three_digits(number, text):
    assert table.spelt(number) == text


def test_rows_that_were_named_replace_those_of_their_names():
    old, new = row("strip", effort="quick"), row("strip")
    report = merged([row("isolation"), old, {"row": "gone"}], [new])
    assert (report["format"], [each["row"] for each in report["rows"]]) == (FORMAT, ["strip", "isolation"])
    assert report["rows"][0]["effort"] == "full"
    assert set(report["machine"]) == {"cores", "arch", "system", "python", "memory_proxy"}


# The page.


@pytest.fixture
def report():
    return merged([row("first-byte", ADDED), row("strip", missing="OSError: broken", effort="quick")], [])


def test_the_page_is_made_of_the_json(report, tmp_path, capsys):
    (tmp_path / "scorecard.json").write_text(json.dumps(report), encoding="utf-8")
    assert main(["--page", "--to", str(tmp_path)]) == 0
    text = (tmp_path / "scorecard.md").read_text(encoding="utf-8")
    assert "| added to the first byte | 2 (1 – 3) ms, bar ≤ 1.5 | over | nginx 0.200; headroom-ai 1 not measured" in text
    assert "added to the first byte: each a new question." in text
    assert "Not measured: OSError: broken" in text
    assert "with `--quick`, for a first look and not for a claim:** `strip`" in text
    assert "## Overhead" in text
    assert (tmp_path / "scale.md").exists()


def test_without_matplotlib_the_page_says_so(report):
    text = page.render(report, plotted=set())
    assert "matplotlib was not installed" in text
    assert "![" not in text


@pytest.mark.skipif(not have_matplotlib(), reason="matplotlib is not installed: pip install memory-proxy[scorecard]")
def test_plots_are_the_same_for_the_same_figures(report, tmp_path):
    page.write(report, tmp_path / "scorecard.md")
    plot = tmp_path / "scorecard" / "first-byte.svg"
    before = plot.read_bytes()
    page.write(report, tmp_path / "scorecard.md")
    assert plot.read_bytes() == before
    assert b"ours, memory on" in before
    assert "![What is added to the first byte](scorecard/first-byte.svg)" in (tmp_path / "scorecard.md").read_text(
        encoding="utf-8"
    )


def test_the_published_pages_are_made_of_the_published_json():
    published = json.loads((ROOT / "scorecard.json").read_text(encoding="utf-8"))
    plotted = {each.stem for each in (ROOT / "docs" / "scorecard").glob("*.svg")}
    assert (ROOT / "docs" / "scorecard.md").read_text(encoding="utf-8") == page.render(published, plotted=plotted)
    assert (ROOT / "docs" / "scale.md").read_text(encoding="utf-8") == cluster.render(published)


def test_a_row_that_is_not_there_is_a_usage_error(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["speed"])
    assert "there is no row speed; choose from alone, first-byte" in capsys.readouterr().err


# What it is made of.


def test_a_hundred_million_on_paper():
    whole, active, scalar, binary = cluster.LAYOUTS
    assert [round(cluster.memory_gb(10**8, each)) for each in (whole, active, scalar, binary)] == [259, 52, 87, 36]
    assert [cluster.nodes(10**8, each) for each in (whole, scalar)] == [6, 3]
    assert cluster.Traffic(per_user=100, active=1, chats=86_400, peak=1, busy=0.5).cores(10_000, chat_s=0.01) == 2


class TestJudgingAStrip:
    answer = next(each for each in ANSWERS if each.name == "between paragraphs")

    def test_what_is_right_is_neither(self):
        assert strip._judged(self.answer, "One. Two.") == set()

    def test_a_block_that_is_seen_is_a_leak(self):
        assert strip._judged(self.answer, f"One. {self.answer.text}") == {"leaks"}

    def test_text_that_is_gone_is_eaten(self):
        assert strip._judged(self.answer, "One.") == {"eats"}

    def test_an_altered_event_counts_if_all_of_its_text_is_seen(self):
        deltas = ["One.", self.answer.text[4:]]
        data = strip.answer_stream(deltas)
        right = strip._in_one_piece(self.answer, data)
        assert strip._needlessly_altered(self.answer, deltas, data, right) == 0
        assert strip._needlessly_altered(self.answer, deltas, data, right.replace(b'"One."', b'"One. "')) > 0

    def test_pieces_are_the_whole(self):
        data = b"abcdefgh" * 100
        cut = strip._pieces(data, 5, random.Random(1))
        assert (b"".join(cut), len(cut)) == (data, 161)


@pytest.mark.parametrize("script", [Script(20, 500), Script(0, silence=True), Script(150, 20_000)])
def test_a_seed_says_how_to_answer(script):
    assert Script.read(script.seed) == script
    assert script.seed < 2**31


def test_each_peer_is_pinned():
    assert {each.stem for each in PINS.glob("*.txt")} == set(PEERS)
    assert version("litellm").startswith("litellm ")


def test_a_command_that_ends_before_it_answers_says_how():
    argv = ["/bin/sh", "-c", "echo no port; exit 3"]
    with pytest.raises(NotStarted, match="ended with status 3: no port"), command(argv, ready=f"http://127.0.0.1:{free_port()}"):
        pass


def test_what_a_process_takes_can_be_told():
    import os

    assert cpu_s(os.getpid()) > 0
    assert 10 < resident_mb(os.getpid()) < 10_000
