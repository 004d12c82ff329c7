"""Whether a message says anything by itself: "yes, do that" only means something behind the turn that it answers."""

from __future__ import annotations

import re
import unicodedata

from proxy.core.english import ADVERBS, BEING, NEGATIONS, OBJECTS, PLACING, USER, word_set

_WORD = re.compile(r"[^\W_]+")

_SHORTENED = word_set(
    "s t m d ll re ve don doesn didn isn aren wasn won wouldn couldn shouldn can cannot gonna wanna gotta lemme"
)
"""What an apostrophe leaves of a word, and what stands for two of them."""

_ANSWERS = word_set(
    "yes yeah yep yup yea aye no nope nah never ok okay okey k kk sure certainly absolutely definitely indeed exactly "
    "precisely right correct true agreed alright fine good great nice cool perfect awesome excellent amazing wonderful "
    "brilliant lovely super wow oh ah aha hm hmm mhm uh um huh well lol haha hehe got see understood makes make sense sounds "
    "course maybe perhaps probably guess think know thanks thank thx ty cheers much lot lots please pls plz sorry welcome "
    "problem worries mind"
)
_GREETINGS = word_set(
    "hi hello hey hiya howdy yo greetings bye goodbye cya later morning afternoon evening night there all everyone"
)
_ASKING = word_set("why how what when where who whom whose which")
_POINTING = word_set(
    "this that these those it its itself one ones same so such thing things stuff other another each both either neither any "
    "some something anything everything more less again too also else instead first second last next previous above below my "
    "mine your yours our their his her a an the you then now here just even only very really back way"
)
_DOING = word_set(
    "do does did done doing go goes going on keep continue proceed carry resume start stop wait finish try retry redo repeat "
    "say said tell show give get let lets put take make made want need would could should will shall may might must have has "
    "had be been was were happened happens mean means meant explain elaborate clarify expand rephrase help"
)
_JOINING = word_set("and or but because if than as out up off down over through yet still already once")

_EMPTY = (
    *(_SHORTENED, _ANSWERS, _GREETINGS, _ASKING, _POINTING, _DOING, _JOINING),
    *(ADVERBS, BEING, NEGATIONS, OBJECTS, PLACING, USER - {"user"}),
)
_SAYS_NOTHING = frozenset().union(*_EMPTY)


def has_content(text: str) -> bool:
    """Whether one of its words names something. In other languages than English every word is taken to."""
    text = unicodedata.normalize("NFKC", text).casefold()
    return any(found[0] not in _SAYS_NOTHING for found in _WORD.finditer(text))
