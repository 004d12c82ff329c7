"""What a model says to remember although nobody told it: our instruction, recalled notes, the system prompt, tool outputs.

An item is compared with what was in its very request. Words are cut to crude roots, which errs towards finding them again;
scripts without spaces are read as pairs of characters. An item echoes a text if most of its words stand near each other there
and the user said few of them: what all of it can be found in the user's messages is the user's, whoever else said it too.
When in doubt it is kept. So an item is no echo if it has a word of the user's that the text lacks (it adds something), nor for
dates and times, which the model works out from a "tomorrow" of the user's, nor for verbs that any memory may have.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from proxy.core.english import ADVERBS, DISTANT, EMPTY, MONTHS, NEGATIONS, NUMBERS, ONES, PLACING, TENS, word_set
from proxy.core.frames import without_frames

_MAX_CHARS = 200_000
"""Of each kind of text, that are read; the latest texts first."""

_REACH = 40
"""How many words apart two words may stand that belong together."""

_APART = 10_000
_SHINGLE = 3

_SPACELESS = "\u0900-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3\U00020000-\U0003ffff"
_TOKEN = re.compile(rf"[{_SPACELESS}]+|\d+(?:[.,:/-]\d+)*|[^\W_{_SPACELESS}]+")
_SPACELESS_RUN = re.compile(f"[{_SPACELESS}]")
_FUNCTION_CHARS = re.compile("[的是在了有和我你您他她它们們一个個这這那就也都很对對のはがをにでとも]")
_JSON_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|[nrt])")
_ENDING = re.compile(r"(?<=\w{3})(?:ing|ed|es|en|er|e|s|n|t|y)$")
_ROOT_CHARS = 5

_ASSISTANT = word_set("assistant ai model bot chatbot system assistent assistentin")
_SUBJECTS = _ASSISTANT | word_set("user the a you i he she they this der die das nutzer benutzer")
_CAPITALISED = re.compile(r"(?<=[^.!?] )[^\W\d_]\w*")
_ENGLISH = word_set("is has the of and with for never lives works likes prefers called named wants owns")
"""Words by which a sentence is English: there, a capital makes a name."""

_DAYS = word_set("monday tuesday wednesday thursday friday saturday sunday")
_CALENDAR = _DAYS | frozenset(MONTHS)
_OF_ANY_MEMORY = word_set(
    "s t m d ll re ve live lives lived living reside resides work works working like likes liking love loves enjoy enjoys "
    "prefer prefers preferred preference hate hates dislike dislikes interested favourite favorite ask asks asked say says "
    "said mention mentions mentioned tell told know knows fact pm you your or but if then than so too wants wanted needs plans "
    "planning shall der die das ein eine einen einem einer ist sind hat haben er sie es und oder im mit von zu für den dem des "
    "auf bei als soll mag nutzer benutzer ich du le la les un une est et ou il elle de utilisateur el los las una y en usuario "
    "用户 使用 用者 助手 助理 喜欢"
)
_SAYS_NOTHING = _OF_ANY_MEMORY.union(EMPTY, ADVERBS, DISTANT, NEGATIONS, PLACING, _ASSISTANT, _CALENDAR)


def _root(word: str) -> str:
    """What *word* has in common with its other forms, roughly; a number's value."""
    if word in NUMBERS:
        return NUMBERS[word]
    return _ENDING.sub("", word)[:_ROOT_CHARS] if word.isalpha() else word.replace(",", "")


@dataclass(frozen=True, slots=True)
class _Item:
    """A content, read. *roots*: all of it but for its subject. *words*: the roots that say something.

    *names* and *quantities* are those of them that a model hardly comes by in other words; *of_assistant*: its subject.
    """

    roots: tuple[str, ...]
    words: frozenset[str]
    names: frozenset[str]
    quantities: frozenset[str]
    of_assistant: bool


class _Index:
    """Where each root of some texts stands; two texts are never near each other."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._places: dict[str, list[int]] = {}
        lines, at = [], 0
        for text in texts:
            roots = _roots(text)
            lines.append(f" {' '.join(roots)} ")
            for place, root in enumerate(roots, start=at):
                self._places.setdefault(root, []).append(place)
            at += len(roots) + _APART
        self._line = "|".join(lines)

    def quotes(self, roots: Sequence[str]) -> bool:
        """Whether *roots* stand there in a row."""
        return f" {' '.join(roots)} " in self._line

    def nearest(self, words: Set[str], reach: int) -> Set[str]:
        """The most of *words* that stand within *reach* of each other."""
        hits = sorted((at, word) for word in words for at in self._places.get(word, ()))
        window, best, first = Counter[str](), frozenset[str](), 0
        for at, word in hits:
            window[word] += 1
            while hits[first][0] < at - reach:
                _take_one(window, hits[first][1])
                first += 1
            if len(window) > len(best):
                best = frozenset(window)
        return best


def _take_one(window: Counter[str], word: str) -> None:
    window[word] -= 1
    if not window[word]:
        del window[word]


@dataclass(frozen=True)
class Foreign:
    """What one request held that the user did not say, and what the user *said*: all user messages, before ours was put in.

    *recalled*: the contexts that were shown. *system*: system and developer messages. *tools*: tool and function messages.
    Nothing is read before the first item comes.
    """

    instruction: str = ""
    recalled: Sequence[str] = ()
    system: Sequence[str] = ()
    tools: Sequence[str] = ()
    said: Sequence[str] = ()

    def echo(self, content: str) -> str | None:
        """What *content* echoes: ``instruction``, ``recalled``, ``system`` or ``tool``; ``None``: it is the user's."""
        item = _read_item(content)
        if not item.words:
            return "instruction" if content.strip().casefold() in self.instruction.casefold() else None
        unsaid = item.words - self._said
        if not unsaid:
            return None
        checks = {"instruction": self._instructed, "recalled": self._recalled, "system": self._set, "tool": self._found}
        return next((slug for slug, echoes in checks.items() if echoes(item, unsaid)), None)

    def _instructed(self, item: _Item, unsaid: Set[str]) -> bool:
        """Close to its words only: "short sentence" may be what the user wants."""
        index = self._instruction_index
        shingles = [item.roots[at : at + _SHINGLE] for at in range(max(1, len(item.roots) - _SHINGLE + 1))]
        if 2 * sum(map(index.quotes, shingles)) >= len(shingles):
            return _is_half(unsaid, item)
        return item.of_assistant and _orders(item, _near(index, item), unsaid)

    def _recalled(self, item: _Item, unsaid: Set[str]) -> bool:
        index = self._recalled_index
        if len(item.roots) > 1 and index.quotes(item.roots):
            return _is_half(unsaid, item)
        return _restates(item, _near(index, item), unsaid)

    def _set(self, item: _Item, unsaid: Set[str]) -> bool:
        index = self._system_index
        if len(item.roots) >= _SHINGLE and index.quotes(item.roots):
            return _is_half(unsaid, item)
        near = _near(index, item)
        return _orders(item, near, unsaid) if item.of_assistant else _restates(item, near, unsaid)

    def _found(self, item: _Item, unsaid: Set[str]) -> bool:
        """In large outputs any single word may stand."""
        near = _near(self._tool_index, item)
        return len(near) > 1 and (_restates(item, near, unsaid) or _reports(item, near, unsaid))

    @cached_property
    def _said(self) -> frozenset[str]:
        roots: set[str] = set()
        for text in _latest(self.said):
            tokens = _tokens(without_frames(text))
            roots.update(map(_root, tokens))
            roots.update(str(10 * TENS[ten] + ONES.index(one)) for ten, one in pairwise(tokens) if ten in TENS and one in ONES)
        return frozenset(roots)

    @cached_property
    def _instruction_index(self) -> _Index:
        return _Index([self.instruction])

    @cached_property
    def _recalled_index(self) -> _Index:
        # Each line is a memory of its own: what is put together from two of them is new.
        return _Index(line for text in _latest(self.recalled) for line in text.splitlines())

    @cached_property
    def _system_index(self) -> _Index:
        return _Index(_latest(self.system))

    @cached_property
    def _tool_index(self) -> _Index:
        return _Index(_JSON_ESCAPE.sub(_unescaped, text) for text in _latest(self.tools))


def _restates(item: _Item, near: Set[str], unsaid: Set[str]) -> bool:
    """Most of it stands there, the user said less than half of it or not its names, and nothing that the text lacks."""
    theirs, his = near & unsaid, item.words - unsaid - near
    if his or not _is_most(near, item):
        return False
    return bool(theirs & item.names) or (len(theirs) > 1 and 2 * len(theirs) > len(item.words))


def _orders(item: _Item, near: Set[str], unsaid: Set[str]) -> bool:
    """The same for what is said of the assistant, which is rarely the user's."""
    return bool(near & unsaid) and _is_most(near, item)


def _reports(item: _Item, near: Set[str], unsaid: Set[str]) -> bool:
    """It answers the user with a number that is found there."""
    return bool(near & unsaid & item.quantities) and _is_most(near | (item.words - unsaid), item)


def _is_most(near: Set[str], item: _Item) -> bool:
    return 3 * len(near) >= 2 * len(item.words)


def _is_half(unsaid: Set[str], item: _Item) -> bool:
    return 2 * len(unsaid) >= len(item.words)


def _near(index: _Index, item: _Item) -> Set[str]:
    return index.nearest(item.words, max(_REACH, 2 * len(item.roots)))


def _read_item(content: str) -> _Item:
    tokens = _tokens(content)
    subject = next((at for at, token in enumerate(tokens) if token not in _SUBJECTS), len(tokens))
    dated = not _CALENDAR.isdisjoint(tokens)
    telling = [
        token for token in tokens if token not in _SAYS_NOTHING and not (token[0].isdigit() and (dated or _is_time(token)))
    ]
    found = frozenset(map(_root, telling))
    names = {_root(token) for name in _names(content, tokens) for token in _tokens(name)}
    return _Item(
        roots=tuple(map(_root, tokens[subject:] or tokens)),
        words=found,
        names=found & names,
        quantities=frozenset(word for word in found if sum(map(str.isdigit, word)) > 1),
        of_assistant=not _ASSISTANT.isdisjoint(tokens[:subject]),
    )


def _is_time(token: str) -> bool:
    return any(mark in token for mark in ":/-")


def _names(content: str, tokens: Sequence[str]) -> Iterator[str]:
    """The words with a capital inside a sentence, where capitals are kept for names."""
    if not _ENGLISH.isdisjoint(tokens):
        yield from (word for word in _CAPITALISED.findall(content) if word[0].isupper())


def _roots(text: str) -> list[str]:
    tokens = _tokens(text)
    roots = {token: _root(token) for token in set(tokens)}
    return [roots[token] for token in tokens]


def _tokens(text: str) -> list[str]:
    tokens: list[str] = _TOKEN.findall(unicodedata.normalize("NFKC", text).casefold())
    if text.isascii():
        return tokens
    return [each for token in tokens for each in (_pairs(token) if _SPACELESS_RUN.match(token) else (token,))]


def _pairs(run: str) -> Iterator[str]:
    """Each two characters in a row, of the stretches between function words."""
    for stretch in filter(None, _FUNCTION_CHARS.split(run)):
        yield from (stretch[at : at + 2] for at in range(max(1, len(stretch) - 1)))


def _latest(texts: Sequence[str]) -> Iterator[str]:
    left = _MAX_CHARS
    for text in reversed(texts):
        if left > 0:
            yield text[:left]
        left -= len(text)


def _unescaped(found: re.Match[str]) -> str:
    return chr(int(found[1], 16)) if found[1] else " "
