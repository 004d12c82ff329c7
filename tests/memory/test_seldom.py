"""Warnings that come in crowds."""

from proxy.memory.seldom import EVERY_S, Seldom


def test_an_event_is_said_once_a_minute_with_how_often_it_came(log):
    now = 5.0
    seldom = Seldom(lambda: now)
    for _ in range(3):
        seldom.warn("late", part="store")
    seldom.warn("busy")
    now += EVERY_S
    seldom.warn("late", part="store")
    assert [(line["event"], line["times"], line.get("part")) for line in log] == [
        ("late", 1, "store"),
        ("busy", 1, None),
        ("late", 3, "store"),
    ]
