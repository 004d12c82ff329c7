"""What became of what was said, in numbers."""

from collections import Counter

from proxy.memory.figures import Figures


def test_figures_add_up():
    total = Figures(stored=1, echoes=Counter(system=1), redacted=Counter(PIN=1))
    total.add(Figures(stored=2, turns=3, echoes=Counter(system=1, tool=2)))
    assert total == Figures(stored=3, turns=3, echoes=Counter(system=2, tool=2), redacted=Counter(PIN=1))


def test_what_is_nothing_is_left_out():
    assert Figures(lost=2, redacted=Counter(PIN=1)).as_dict() == {"lost": 2, "redacted": {"PIN": 1}}
    assert Figures().as_dict() == {}


def test_one_does_not_count_along_with_another():
    total, one = Figures(), Figures(echoes=Counter(system=1))
    total.add(one)
    total.add(one)
    assert (total.echoes["system"], one.echoes["system"]) == (2, 1)
