"""Which messages are worth searching with."""

import pytest

from proxy.core.chatter import has_content

CHATTER = """
yes, do that|Yes.|ok thanks!|OK|hello|hi there|Hi there!!|go on|sure, please do it|why?|and then?|👍|👍🏽 🎉|Thank you so much!|No, not that one.
nope|continue|Please continue.|tell me more|what?|How so?|what do you think?|that's right|That’s great, thanks|I see|got it|sounds good
makes sense|good morning|Good night!|can you do it again?|try again please|what does that mean?|explain it to me|okay, let's do it|why not?
I don't know|I don’t think so|not really|which one?|the first one|the second|both|how did it go?|hmm|...|?|-|_||  \n|yes please|lol
and what about the other one?|never mind that|Could you elaborate on this?|keep going|who?|what happened next?|ＯＫ|same here|wait, what?
"""
CONTENT = """
tea or coffee?|book it for Friday|42|the 2nd|What's my name?|where do I live?|Rex|yes, the dog|thanks, and the weather?|hello Anna|my user name
I like tea|should I use Python?|what do I like?|where do I work?|who is my doctor?|when is my birthday?|call my mother|in Berlin|remind me tomorrow
ja, bitte|sí|да|danke|はい|好的|继续|네|ja, mach das|oui, vas-y|Wo wohne ich?|我住在哪里|C++?|x|€5|yes: 12:30|why the lucky stiff?
"""


def table(text: str) -> list[str]:
    return text.strip("\n").replace("\n", "|").replace("\\n", "\n").split("|")


@pytest.mark.parametrize("text", table(CHATTER))
def test_chatter_has_no_content(text: str) -> None:
    assert not has_content(text)


@pytest.mark.parametrize("text", table(CONTENT))
def test_a_word_that_names_something_is_content(text: str) -> None:
    assert has_content(text)
