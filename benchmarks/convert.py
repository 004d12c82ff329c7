"""The public sets, as their authors publish them → a data file for ``benchmarks/recall.py``.

``python -m benchmarks.convert locomo locomo10.json FILE`` and ``python -m benchmarks.convert beam chats/100K FILE``.
``docs/benchmarks.md`` says where to get them, and under which licences.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

Data = dict[str, Any]

_LOCOMO_CATEGORIES = {1: "multi-hop", 2: "temporal", 3: "open-domain", 4: "single-hop", 5: "adversarial"}
_DIALOG_ID = re.compile(r"D\d+:\d+")
_BEAM_MARK = re.compile(r"\s*->->\s*[\d,]+\s*\Z")
"""Where in its plan a message comes from; the user never wrote it."""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.convert", description=__doc__)
    parser.add_argument("set", choices=SETS, help="whose format it is in")
    parser.add_argument("source", type=Path, help="LoCoMo's file, or BEAM's folder of chats")
    parser.add_argument("target", type=Path, metavar="FILE", help="the data file to write")
    options = parser.parse_args(arguments)
    people = list(SETS[options.set](options.source))
    options.target.write_text(json.dumps(people, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{len(people)} users, {sum(len(each['questions']) for each in people)} questions")
    return 0


def locomo(source: Path) -> Iterator[Data]:
    """Two people talk with each other: every message is a turn, and the observations are the facts."""
    for sample in json.loads(source.read_bytes()):
        turns = list(_locomo_turns(sample["conversation"]))
        known = {turn["id"] for turn in turns}
        yield {
            "user": sample["sample_id"],
            "turns": turns,
            "facts": list(_locomo_facts(sample.get("observation", {}), known)),
            "questions": [
                {
                    "question": each["question"],
                    "category": _LOCOMO_CATEGORIES[each["category"]],
                    "evidence": _dialog_ids(each.get("evidence"), known),
                }
                for each in sample["qa"]
            ],
        }


def _locomo_turns(conversation: Mapping[str, Any]) -> Iterator[Data]:
    numbers = sorted(int(found[1]) for key in conversation if (found := re.fullmatch(r"session_(\d+)", key)))
    for number in numbers:
        at = datetime.strptime(conversation[f"session_{number}_date_time"], "%I:%M %p on %d %B, %Y")
        for message in conversation[f"session_{number}"]:
            caption = message.get("blip_caption")
            yield {
                "id": message["dia_id"],
                "session": str(number),
                "speaker": message["speaker"],
                "text": f"{message['text']} [photo: {caption}]" if caption else message["text"],
                "created_at": f"{at:%Y-%m-%dT%H:%M:%SZ}",
            }


def _locomo_facts(observation: Mapping[str, Any], known: set[str]) -> Iterator[Data]:
    for speakers in observation.values():
        for text, where in (each for facts in speakers.values() for each in facts):
            if turns := _dialog_ids(where, known):
                yield {"text": text, "turns": turns}


def _dialog_ids(where: object, known: set[str]) -> list[str]:
    """Of one id, several in one string, or a list of such; a few name a message that isn't there."""
    return [each for each in dict.fromkeys(_DIALOG_ID.findall(str(where))) if each in known]


def beam(source: Path) -> Iterator[Data]:
    """One user chats with a model: each message of the user's is a turn, with its answer as reply."""
    for folder in sorted((each.parent for each in source.glob("*/chat.json")), key=lambda each: (len(each.name), each.name)):
        messages = list(_beam_messages(json.loads((folder / "chat.json").read_bytes())))
        asked = json.loads((folder / "probing_questions/probing_questions.json").read_bytes())
        turn_of = _turn_of(messages)
        yield {
            "user": f"beam-{folder.name}",
            "turns": list(_beam_turns(messages)),
            "facts": [],
            "questions": [
                {"question": each["question"], "category": category, "evidence": _evidence(each, turn_of)}
                for category, questions in asked.items()
                for each in questions
            ],
        }


def _beam_messages(batches: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, Data]]:
    """Each message with its session: what was said at one time."""
    for number, batch in enumerate(batches):
        for message in (each for turn in batch["turns"] for each in turn):
            yield str(number), message


def _beam_turns(messages: Sequence[tuple[str, Data]]) -> Iterator[Data]:
    turn: Data | None = None
    for session, message in messages:
        if message["role"] == "user":
            if turn is not None:
                yield turn
            text = _BEAM_MARK.sub("", message["content"])
            turn = {"id": str(message["id"]), "session": session, "speaker": "user", "text": text, "reply": ""}
            turn["created_at"] = message.get("time_anchor")
        elif turn is not None:
            turn["reply"] += message["content"]
    if turn is not None:
        yield turn


def _turn_of(messages: Sequence[tuple[str, Data]]) -> dict[int, str]:
    """By message, the turn that it belongs to: what the model said is found by what it answered."""
    turns: dict[int, str] = {}
    turn = None
    for _, message in messages:
        turn = str(message["id"]) if message["role"] == "user" else turn
        if turn is not None:
            turns[message["id"]] = turn
    return turns


def _evidence(question: Mapping[str, Any], turn_of: Mapping[int, str]) -> list[str]:
    numbers = _numbers(question.get("source_chat_ids"))
    return list(dict.fromkeys(turn_of[each] for each in numbers if each in turn_of))


def _numbers(value: object) -> Iterator[int]:
    """Some questions have a list of ids, others a list for each of several statements."""
    if isinstance(value, int):
        yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _numbers(each)


SETS: dict[str, Callable[[Path], Iterator[Data]]] = {"locomo": locomo, "beam": beam}

if __name__ == "__main__":
    sys.exit(main())
