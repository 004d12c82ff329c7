"""What earlier messages were given."""

from proxy.core.models import Owner
from proxy.memory.replay import Given, Replay

ANN, BEN = Owner("ann"), Owner("ben")
TEA, JAZZ = Given("tea", {"m1": "1"}), Given("jazz", {"m1": "2"})


def test_what_was_put_is_got_again():
    replay = Replay()
    replay.put(ANN, "f", TEA)
    assert replay.get(ANN, "f") == TEA


def test_nobody_gets_what_is_another_s():
    replay = Replay()
    replay.put(ANN, "f", TEA)
    replay.put(BEN, "f", JAZZ)
    assert [replay.get(owner, "f") for owner in (ANN, BEN, Owner("Ann"), Owner("ann", tenant="t"))] == [TEA, JAZZ, None, None]


def test_the_latest_for_a_message_counts():
    replay = Replay()
    replay.put(ANN, "f", TEA)
    replay.put(ANN, "f", JAZZ)
    assert replay.get(ANN, "f") == JAZZ


def test_what_one_owner_was_given_can_be_forgotten():
    replay = Replay()
    for owner in (ANN, BEN):
        for fingerprint in ("1", "2"):
            replay.put(owner, fingerprint, TEA)
    replay.forget(ANN)
    found = [replay.get(owner, each) for owner in (ANN, BEN) for each in ("1", "2")]
    assert (found, replay.erasures) == ([None, None, TEA, TEA], 1)


def test_the_least_recently_used_goes_first():
    replay = Replay(max_bytes=2 * TEA.size)
    replay.put(ANN, "1", TEA)
    replay.put(ANN, "2", TEA)
    replay.get(ANN, "1")
    replay.put(ANN, "3", TEA)
    assert [replay.get(ANN, each) is not None for each in ("1", "2", "3")] == [True, False, True]


def test_one_that_is_too_large_leaves_nothing():
    replay = Replay(max_bytes=TEA.size)
    replay.put(ANN, "1", TEA)
    replay.put(ANN, "2", Given("tea" * 1000))
    replay.put(ANN, "3", TEA)
    assert [replay.get(ANN, each) is not None for each in ("1", "2", "3")] == [False, False, True]


def test_what_is_put_again_takes_no_more_room():
    replay = Replay(max_bytes=2 * TEA.size)
    for fingerprint in ("1", "2", "2", "2"):
        replay.put(ANN, fingerprint, TEA)
    assert [replay.get(ANN, each) for each in ("1", "2")] == [TEA, TEA]
