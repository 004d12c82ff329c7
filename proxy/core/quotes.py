"""What somebody pasted: long runs of words that stood, word for word, in what was shown to him before.

Fewer than six words in a row may be anybody's: "I live in Oslo" is said, whatever else says it too. Scripts without spaces have
one word from one mark to the next, which errs towards keeping.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

_RUN = 6

_WORD = re.compile(r"[^\W_]+")

_Gram = tuple[str, ...]


def without_quotes(texts: Sequence[str], sources: Sequence[str], counts: Sequence[int]) -> list[str]:
    """*texts*, each with " … " for what it quotes of the first of *sources*: as many as *counts* says for it.

    A source that came later repeats the text, and is no reason to doubt it.
    """
    first = _first_seen({gram for text in texts for gram in _grams(text)}, sources)
    return [
        _cut(text, {gram for gram in _grams(text) if first.get(gram, before) < before})
        for text, before in zip(texts, counts, strict=True)
    ]


def _first_seen(grams: set[_Gram], sources: Sequence[str]) -> dict[_Gram, int]:
    """Which source has each of *grams* first."""
    first: dict[_Gram, int] = {}
    for at, source in enumerate(sources):
        for gram in grams.intersection(_grams(source)):
            first.setdefault(gram, at)
    return first


def _grams(text: str) -> Iterator[_Gram]:
    words = [word.casefold() for word in _WORD.findall(text)]
    return zip(*(words[at:] for at in range(_RUN)), strict=False)


def _cut(text: str, quoted: set[_Gram]) -> str:
    if not quoted:
        return text
    kept, end = [], 0
    for start, stop in _runs(text, quoted):
        kept.append(text[end:start])
        end = stop
    return " … ".join([*kept, text[end:]])


def _runs(text: str, quoted: set[_Gram]) -> list[tuple[int, int]]:
    """Where the stretches begin and end that *quoted* covers."""
    spans = [found.span() for found in _WORD.finditer(text)]
    covered = sorted({at + i for at, gram in enumerate(_grams(text)) if gram in quoted for i in range(_RUN)})
    begins = [at for at, before in zip(covered, [-2, *covered], strict=False) if at != before + 1]
    ends = [at for at, after in zip(covered, [*covered[1:], -1], strict=True) if after != at + 1]
    return [(spans[begin][0], spans[end][1]) for begin, end in zip(begins, ends, strict=True)]
