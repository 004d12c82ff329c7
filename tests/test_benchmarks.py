"""Every benchmark still runs, with next to no work; what it measures then means nothing."""

import json
from datetime import UTC, datetime

import pytest

from benchmarks import recall
from benchmarks.__main__ import BENCHMARKS, run
from benchmarks.baselines import fuse
from benchmarks.chats import Shown, assistant, shown, system, user
from benchmarks.corpus import load
from benchmarks.month_data import DAYS, USERS, Month
from benchmarks.prefix import common
from benchmarks.retrieval import Item, Ranking, figures, judge
from benchmarks.rows import Effort, once, ratio, speed, table, value
from proxy.core.context import note_of, note_of_turn, number, render_context
from proxy.core.models import TURN, Memory
from proxy.core.redaction import redact

LEAST = Effort(rounds=1, share=0.01)


@pytest.mark.parametrize("name", sorted(BENCHMARKS.keys() - {"relay", "off"}))  # which are "chat" with less in it
def test_a_benchmark_prints_its_rows(name, capsys, model_dir):
    run([name], LEAST)
    rows = [line for line in capsys.readouterr().out.splitlines() if f"`scripts/bench {name}`" in line]
    assert rows
    assert not any("not measured" in row for row in rows)


class TestARow:
    def test_of_a_ratio_takes_the_median_of_the_ratios(self):
        row = ratio("CPU", [(10, 12), (10, 11), (20, 30)], unit="µs", at_most=1.2)
        assert (row.measured, row.bar, row.met) == ("1.20 (1.10 – 1.50) × = 12 / 10 µs", "≤ 1.2 ×", True)

    def test_of_a_value_that_is_too_large_is_over(self):
        row = value("time", [1.0, 2.0, 4.0], unit="ms", at_most=1.5)
        assert (row.measured, row.bar, row.met) == ("2.0 (1.0 – 4.0) ms", "≤ 1.5 ms", False)

    def test_of_a_speed_that_is_too_low_is_over(self):
        row = speed("filter", [9, 10, 200], unit="MB/s", at_least=15)
        assert (row.measured, row.bar, row.met) == ("10 (9 – 200) MB/s", "≥ 15 MB/s", False)

    def test_without_a_bar_has_no_verdict(self):
        row = value("size", [1.0], unit="MB")
        assert (row.bar, row.met) == ("", None)

    def test_of_what_comes_out_the_same_each_time_shows_it_once(self):
        row = once("prefix", 0.995, at_least=0.99)
        assert (row.measured, row.bar, row.met) == ("0.995", "≥ 0.99", True)

    def test_counts_nothing_where_nothing_is_allowed(self):
        assert once("secrets", 0, form=".0f", at_most=0).met is True
        assert once("secrets", 1, form=".0f", at_most=0).met is False


def test_a_table_is_as_wide_as_it_must_be():
    assert table(["", "items"], [["ours", "9"]]) == "|      | items |\n|------|-------|\n| ours | 9     |"


@pytest.fixture
def data(tmp_path):
    """A data file of two conversations."""
    turns = [
        {"id": "1", "session": "a", "speaker": "Ann", "text": "I bought a red bicycle.", "created_at": "2023-05-08T13:56:00Z"},
        {"id": "2", "session": "a", "speaker": "Bob", "text": "My sister moved to Porto.", "created_at": "2023-05-08T13:56:00Z"},
        {
            "id": "3",
            "session": "b",
            "speaker": "user",
            "text": "The soup needs salt.",
            "reply": "Yes.",
            "created_at": "March-15-2024",
        },
        {"id": "4", "session": "b", "speaker": "user", "text": "I play the cello.", "created_at": None},
    ]
    facts = [{"text": "Ann owns a red bicycle", "turns": ["1"]}]
    questions = [
        {"question": "What did Ann buy?", "category": "single", "evidence": ["1"]},
        {"question": "Which instrument is played?", "category": "other", "evidence": ["4"]},
        {"question": "What did Bob buy?", "category": "adversarial", "evidence": ["1"]},
        {"question": "What does Bob play?", "category": "abstention", "evidence": []},
    ]
    file = tmp_path / "data.json"
    file.write_text(json.dumps([{"user": "u", "turns": turns, "facts": facts, "questions": questions}]), encoding="utf-8")
    return file


class TestRecall:
    @pytest.mark.parametrize("more", [[], ["--facts"]])
    def test_measures_all_four_ways_of_finding_over_a_file(self, data, more, tmp_path, capsys, model_dir):
        written = tmp_path / "figures.json"
        assert recall.main(["--data", str(data), "--json", str(written), *more]) == 0
        found = json.loads(written.read_text(encoding="utf-8"))
        assert list(found) == ["dense", "bm25", "rrf60", "ours"]
        keys = {"recall@1", "recall@5", "recall@10", "hit@5", "hit@10", "mrr", "words@5"}
        assert {frozenset(each) for each in found.values()} == {frozenset(keys | {"categories", "injected"})}
        assert set(found["ours"]["categories"]) == {"adversarial", "other", "single"}
        assert set(found["ours"]["injected"]) == {"abstention", "adversarial", "other", "single"}
        assert (found["ours"]["injected"]["single"]["share"], found["ours"]["injected"]["abstention"]["share"]) == (1.0, None)
        assert (found["ours"]["recall@5"], found["dense"]["recall@5"]) == (1.0, 1.0)
        assert "All 2 questions" in capsys.readouterr().out

    def test_says_in_one_line_what_is_wrong_with_a_file(self, tmp_path, capsys):
        (tmp_path / "data.json").write_text('[{"turns": []}]', encoding="utf-8")
        with pytest.raises(SystemExit, match="2"):
            recall.main(["--data", str(tmp_path / "data.json")])
        assert capsys.readouterr().err.splitlines()[-1].endswith("has another format: KeyError('user')")


def test_times_are_read_and_carried_on(data):
    [person] = load(data)
    assert [turn.at for turn in person.turns] == [
        datetime(2023, 5, 8, 13, 56, tzinfo=UTC),
        datetime(2023, 5, 8, 13, 56, 1, tzinfo=UTC),
        datetime(2024, 3, 15, tzinfo=UTC),
        datetime(2024, 3, 15, 0, 0, 1, tzinfo=UTC),
    ]


def test_only_a_named_speaker_is_part_of_the_plain_text(data):
    [person] = load(data)
    assert [turn.plain for turn in person.turns[1:3]] == ["Bob: My sister moved to Porto.", "The soup needs salt."]


class TestJudging:
    def ranking(self, *items):
        return Ranking([Item(frozenset(turns), text) for turns, text in items], ms=1.0)

    def test_counts_each_turn_once_and_all_words(self):
        judged = judge(frozenset("ab"), self.ranking(("a", "one"), ("a", "two words"), ("b", "three")))
        assert (judged.recall, judged.words, judged.reciprocal_rank) == ([0.5, 1.0], [1, 4], 1.0)

    def test_a_short_list_has_found_all_that_it_will(self):
        judged = judge(frozenset("ab"), self.ranking(("c", "one"), ("b", "two")))
        assert (judged.recall_at(10), judged.words_at(10), judged.reciprocal_rank) == (0.5, 2, 0.5)

    def test_finding_nothing_is_worth_nothing(self):
        found = figures([judge(frozenset("a"), self.ranking())])
        assert (found.recall[10], found.mrr, found.words, found.enough) == (0.0, 0.0, 0.0, None)

    def test_knows_how_many_items_are_enough(self):
        judged = [judge(frozenset("a"), self.ranking(("b", "one"), ("a", "two three")))]
        assert figures(judged).enough == (2, 3)


def test_what_both_lists_rank_high_comes_first():
    assert fuse([1, 2, 3], [3, 2, 4])[:2] == [3, 2]


def test_the_common_prefix_is_a_share_of_the_shorter_request():
    one = [system("abc"), user("d")]
    assert common(one, [*one, assistant("e")]) == 1.0
    assert common([user("abcd")], [user("abXd!")]) == 7 / 10


def test_shown_notes_are_read_as_they_are_written():
    at = datetime(2026, 3, 1, tzinfo=UTC)
    fact = Memory("f", "Lives in Oslo", at, at, conflicts=("p",))
    liking = Memory("p", "Likes (green) tea", at, at, type="preference")
    turn = Memory("t", "I moved", at, at, type=TURN, speaker="Ann", reply="Nice")
    notes = [note_of(fact), note_of(liking), note_of_turn(turn, None, None, with_reply=True, redact=redact)]
    assert shown([user(render_context(number(notes, shown=0)) + "Hello")]) == [
        Shown("m1", "Lives in Oslo", is_turn=False, contradicts=("m2",)),
        Shown("m2", "Likes (green) tea", is_turn=False, contradicts=()),
        Shown("m3", "I moved | answer: Nice", is_turn=True, contradicts=()),
    ]


def test_every_month_is_the_same_and_every_secret_is_one():
    months = [Month(USERS[0]), Month(USERS[0])]
    assert list(months[0].conversations()) == list(months[1].conversations())
    assert len(set(months[0].secrets)) == 2 * DAYS
    assert [each for each in months[0].secrets if not redact(f"My password is {each}").kinds] == []
