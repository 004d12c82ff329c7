"""Where traces are kept: so many, for so long, and of nobody who is to be forgotten."""

from __future__ import annotations

from proxy import config
from proxy.core.models import Owner
from proxy.memory.trace import Trace
from proxy.memory.traces import Traces

ANN, BEN, OTHER = Owner("ann"), Owner("ben"), Owner("ann", "other")


def trace(id_: str, owner: Owner | None = ANN) -> Trace:
    return Trace(id_, owner, "m", "ok", "inline", None, content=False)


def kept(*traces: Trace, max_entries: int = 9, now: float = 0.0) -> Traces:
    found = Traces(config.Traces(max_entries=max_entries, keep_s=60), clock_s=lambda: now)
    for each in traces:
        found.put(each)
    return found


def ids(found: list[Trace]) -> list[str]:
    return [each.id for each in found]


def test_one_is_found_by_its_id():
    one = trace("1")
    assert (kept(one).get("1"), kept(one).get("2")) == (one, None)


def test_the_oldest_goes_when_there_are_too_many():
    assert ids(kept(*map(trace, "1234"), max_entries=3).latest(limit=9)) == ["4", "3", "2"]


def test_each_goes_when_its_time_is_over():
    now = 0.0
    traces = Traces(config.Traces(keep_s=60), clock_s=lambda: now)
    traces.put(trace("1"))
    now = 59.0
    traces.put(trace("2"))
    assert ids(traces.latest(limit=9)) == ["2", "1"]
    now = 60.0
    assert (ids(traces.latest(limit=9)), traces.get("1")) == (["2"], None)
    now = 119.0
    assert traces.get("2") is None


def test_the_latest_are_of_a_user_of_a_tenant_or_of_all():
    traces = kept(trace("1"), trace("2", BEN), trace("3", OTHER), trace("4", None), trace("5"))
    assert ids(traces.latest(limit=9)) == ["5", "4", "3", "2", "1"]
    assert ids(traces.latest(limit=2)) == ["5", "4"]
    assert ids(traces.latest(user="ann", tenant="default", limit=9)) == ["5", "1"]
    assert ids(traces.latest(user="ann", limit=9)) == ["5", "3", "1"]
    assert ids(traces.latest(tenant="default", limit=9)) == ["5", "2", "1"]


def test_those_of_an_owner_are_forgotten():
    traces = kept(trace("1"), trace("2", BEN), trace("3", OTHER), trace("4"))
    traces.forget(ANN)
    assert ids(traces.latest(limit=9)) == ["3", "2"]
