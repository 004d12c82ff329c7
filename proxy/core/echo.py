"""What a model says to remember although nobody told it: our instruction, recalled notes, the system prompt, tool outputs.

An item is compared with what was in its very request. Words are cut to crude roots, which errs towards finding them again;
scripts without spaces are read as pairs of characters. An item echoes a text if most of its words stand near each other there
and the user said few of them: what all of it can be found in the user's messages is the user's, whoever else said it too. What he pasted
there of a tool's output or of recalled notes he did not say.
When in doubt it is kept. So an item is no echo if it has a word of the user's that the text lacks (it adds something), nor for
dates and times, which the model works out from a "tomorrow" of the user's, nor for verbs that any memory may have.

A recalled memory or message as a whole is known, so little is lost with it: most of it must be stated for the user to have said
it. A prompt that is used again, or a question about the same thing, has its words and states nothing.
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
from proxy.core.quotes import without_quotes

_MAX_CHARS = 50_000
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
_NOTE_LINE = re.compile(r"^\[m\d+\] \(.*", re.MULTILINE)
_NOTE_LABEL = re.compile(r"^(?:\[m\d+\] *)?\((?:said|fact|preference|context)\b[^)]*\) *| \(contradicts [m\d, ]+\)$")
_NOTE_PARTS = re.compile(r" \| (?:answer|before|after): ")
_ENDING = re.compile(r"(?<=\w{3})(?:ing|ed|es|en|er|e|s|n|t|y)$")
_ROOT_CHARS = 5

_ASSISTANT = word_set("assistant ai model bot chatbot system assistent assistentin")
_SUBJECTS = _ASSISTANT | word_set("user the a you i he she they this der die das nutzer benutzer")
_REPORT = re.compile(
    r"(?:\W*(?:(?:the |der |die )?(?:user|assistant|nutzer|nutzerin|benutzer|he|she|they|i) )?(?:has |have |had |hat )?"
    r"(?:(?:also|already|just|once|previously|earlier) )*"
    r"(?:mentioned|said|says|asked|asks|told|noted|stated|wrote|answered|replied|gesagt|gefragt|erwähnt)\b"
    r"(?: (?:before|earlier|previously|already|again|once|us|me|you|that|zuvor|dass)\b)*)+",
    re.IGNORECASE,
)
"""What comes before the thing that somebody said, also several times over."""

_CLAUSE_END = re.compile(r"(?<=[.!?,;:])\s+|(?<=[。！？，；])|\n")
_ASKED_FOR = re.compile(
    r"(?:(?:please|hey|hi|hello|ok|okay|and|so|now|then|(?:can|could|would|will) you)\b\W*)*"
    r"(?:plan|explain|write|rewrite|draft|translate|summari[sz]e|list|show|tell|give|help|make|create|find|fix|check|compare"
    r"|describe|suggest|recommend|generate|convert|review|look|search"
    r"|what|which|who|whose|where|why|how"
    r"|(?:is|are|was|were|do|does|did|can|could|should|would|will|when) (?:i|we|you|he|she|it|they|this|that|there|the|my))\b",
    re.IGNORECASE,
)
"""How a clause begins that wants something done or known. It errs towards too many, as it only matters for what is known."""
_QUESTION = re.compile(
    r"\b(?:what|which|who|whose|where|when|why|how|(?:can|could|should|would|will|do) (?:you|i|we))\b", re.IGNORECASE
)
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
    *tools_before*: of each of *said*, how many of *tools* came before it; what is not told: none. Nothing is read before the first
    item comes.
    """

    instruction: str = ""
    recalled: Sequence[str] = ()
    system: Sequence[str] = ()
    tools: Sequence[str] = ()
    said: Sequence[str] = ()
    tools_before: Sequence[int] = ()

    def echo(self, content: str) -> str | None:
        """What *content* echoes: ``instruction``, ``recalled``, ``system`` or ``tool``; ``None``: it is the user's."""
        item = _read_item(content)
        if not item.words:
            return "instruction" if content.strip().casefold() in self.instruction.casefold() else None
        if item.roots in self._recalled_lines and not any(_is_most(item.words & each, item) for each in self._stated):
            return "recalled"
        unsaid = item.words - self._said
        if not unsaid:
            return None
        checks = {"instruction": self._instructed, "recalled": self._recalled, "system": self._set, "tool": self._found}
        return next((slug for slug, echoes in checks.items() if echoes(item, unsaid)), None)

    def own_words(self, text: str) -> str:
        """*text*, the latest of the user's messages, without what he pasted into it of notes and of tool outputs."""
        return self._without_pasted([text], self.tools_before[-1:])[0]

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
        return frozenset().union(*map(_meanings, self._own_words))

    @cached_property
    def _stated(self) -> list[frozenset[str]]:
        """The roots in what each message neither asks nor asks for."""
        return [_meanings(_statements(text)) for text in self._own_words]

    @cached_property
    def _own_words(self) -> list[str]:
        return self._without_pasted([without_frames(text) for text in _latest(self.said)], self.tools_before)

    def _without_pasted(self, texts: Sequence[str], counts: Sequence[int]) -> list[str]:
        unquoted = without_quotes(texts, self._quotable, counts) if any(counts) else texts
        return [_NOTE_LINE.sub("", text) for text in unquoted]

    @cached_property
    def _quotable(self) -> list[str]:
        """Tool outputs as they are, and as a client may show them."""
        return [f"{text}\n{_JSON_ESCAPE.sub(_unescaped, text)}" for text in _latest(self.tools)]

    @cached_property
    def _instruction_index(self) -> _Index:
        return _Index([self.instruction])

    @cached_property
    def _recalled_index(self) -> _Index:
        # Each is a memory or message of its own: what is put together from two of them is new.
        return _Index(self._recalled_texts)

    @cached_property
    def _recalled_lines(self) -> frozenset[tuple[str, ...]]:
        return frozenset(tuple(map(_root, _told(_tokens(_bare(text))))) for text in self._recalled_texts)

    @cached_property
    def _recalled_texts(self) -> list[str]:
        return [part for text in _latest(self.recalled) for line in text.splitlines() for part in _NOTE_PARTS.split(line)]

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
    tokens = _tokens(_bare(content))
    told = _told(tokens)
    dated = not _CALENDAR.isdisjoint(tokens)
    telling = [
        token for token in tokens if token not in _SAYS_NOTHING and not (token[0].isdigit() and (dated or _is_time(token)))
    ]
    found = frozenset(map(_root, telling))
    names = {_root(token) for name in _names(content, tokens) for token in _tokens(name)}
    return _Item(
        roots=tuple(map(_root, told)),
        words=found,
        names=found & names,
        quantities=frozenset(word for word in found if sum(map(str.isdigit, word)) > 1),
        of_assistant=not _ASSISTANT.isdisjoint(tokens[: -len(told)]),
    )


def _bare(text: str) -> str:
    """*text* without the label of a recalled note, and without "The user said"."""
    text = _NOTE_LABEL.sub("", text.strip())
    report = _REPORT.match(text)
    return text[report.end() :].strip() or text if report else text


def _told(tokens: list[str]) -> list[str]:
    """All but the subject, if there is more."""
    subject = next((at for at, token in enumerate(tokens) if token not in _SUBJECTS), 0)
    return tokens[subject:]


def _meanings(text: str) -> frozenset[str]:
    """The roots of *text*, and the numbers that it spells in two words."""
    tokens = _tokens(text)
    spelt = (str(10 * TENS[ten] + ONES.index(one)) for ten, one in pairwise(tokens) if ten in TENS and one in ONES)
    return frozenset(map(_root, tokens)).union(spelt)


def _statements(text: str) -> str:
    clauses = (each.strip() for each in _CLAUSE_END.split(text))
    return " ".join(_statement(each) for each in clauses if not _ASKED_FOR.match(each))


def _statement(clause: str) -> str:
    """*clause* up to its question, for want of a full stop."""
    if not clause.endswith(("?", "？")):
        return clause
    question = _QUESTION.search(clause)
    return clause[: question.start()] if question else ""


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


def _latest(texts: Sequence[str]) -> list[str]:
    """*texts*, of which the first ones may be empty and one cut."""
    left, kept = _MAX_CHARS, []
    for text in reversed(texts):
        kept.append(text[:left])
        left = max(0, left - len(text))
    return kept[::-1]


def _unescaped(found: re.Match[str]) -> str:
    return chr(int(found[1], 16)) if found[1] else " "
