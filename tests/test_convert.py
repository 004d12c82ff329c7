"""The public sets are read in their own formats. What is said in them here is made up."""

import json

import pytest

from benchmarks.convert import main
from benchmarks.corpus import load


def write(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


@pytest.fixture
def locomo(tmp_path):
    conversation = {
        "speaker_a": "Ada",
        "speaker_b": "Ben",
        "session_1_date_time": "1:05 pm on 3 May, 2024",
        "session_1": [
            {"speaker": "Ada", "dia_id": "D1:1", "text": "My boat is called Heron."},
            {"speaker": "Ben", "dia_id": "D1:2", "text": "Look!", "img_url": ["…"], "blip_caption": "a red kite"},
        ],
        "session_2_date_time": "12:20 am on 9 December, 2024",  # announced, and never held
    }
    questions = [
        {"question": "What is the boat called?", "answer": "Heron", "evidence": ["D1:1"], "category": 4},
        {"question": "What did both show?", "answer": "…", "evidence": ["D1:1; D1:2", "D9:9"], "category": 1},
        {"question": "Who knows?", "answer": "…", "evidence": [], "category": 3},
    ]
    observation = {"session_1_observation": {"Ada": [["Ada has a boat.", "D1:1"]], "Ben": [["Ben flew.", "D7:7"]]}}
    sample = {"sample_id": "conv-1", "conversation": conversation, "qa": questions, "observation": observation}
    write(tmp_path / "locomo10.json", [sample])
    return tmp_path / "locomo10.json"


@pytest.fixture
def beam(tmp_path):
    def said(id_, role, content, **more):
        return {"role": role, "id": id_, "content": content, **more}

    first = [
        [said(0, "user", "I keep bees. ->-> 1,1", time_anchor="March-15-2024"), said(1, "assistant", "How many hives?")],
        [said(2, "user", "Four of them."), said(3, "assistant", "A good number.")],
    ]
    second = [[said(4, "user", "Five by now. ->-> 2,1", time_anchor="April-02-2024"), said(5, "assistant", "Well done.")]]
    batches = [{"batch_number": 1, "turns": first}, {"batch_number": 2, "turns": second}]
    questions = {
        "abstention": [{"question": "What do the bees cost?"}],
        "information_extraction": [{"question": "What do I keep?", "source_chat_ids": [0, 1]}],
        "knowledge_update": [{"question": "How many?", "source_chat_ids": {"original_info": [2], "updated_info": [4]}}],
    }
    for name in ("10", "9"):
        write(tmp_path / "chats" / name / "chat.json", batches)
        write(tmp_path / "chats" / name / "probing_questions" / "probing_questions.json", questions)
    return tmp_path / "chats"


def test_a_conversation_of_locomo(locomo, tmp_path, capsys):
    assert main(["locomo", str(locomo), str(tmp_path / "data.json")]) == 0
    assert capsys.readouterr().out == "1 users, 3 questions\n"
    [person] = load(tmp_path / "data.json")
    assert [(each.id, each.speaker, each.text) for each in person.turns] == [
        ("D1:1", "Ada", "My boat is called Heron."),
        ("D1:2", "Ben", "Look! [photo: a red kite]"),
    ]
    assert person.turns[0].at.isoformat() == "2024-05-03T13:05:00+00:00"
    assert [(each.text, each.turns) for each in person.facts] == [("Ada has a boat.", ("D1:1",))]
    assert [(each.category, each.evidence) for each in person.questions] == [
        ("single-hop", {"D1:1"}),
        ("multi-hop", {"D1:1", "D1:2"}),
        ("open-domain", frozenset()),
    ]


def test_chats_of_beam(beam, tmp_path):
    assert main(["beam", str(beam), str(tmp_path / "data.json")]) == 0
    people = load(tmp_path / "data.json")
    assert [each.user for each in people] == ["beam-9", "beam-10"]
    assert [(each.id, each.session, each.speaker, each.text, each.reply) for each in people[0].turns] == [
        ("0", "0", None, "I keep bees.", "How many hives?"),
        ("2", "0", None, "Four of them.", "A good number."),
        ("4", "1", None, "Five by now.", "Well done."),
    ]
    assert [each.at.date().isoformat() for each in people[0].turns] == ["2024-03-15", "2024-03-15", "2024-04-02"]
    assert [(each.category, each.evidence) for each in people[0].questions] == [
        ("abstention", frozenset()),
        ("information_extraction", {"0"}),
        ("knowledge_update", {"2", "4"}),
    ]
