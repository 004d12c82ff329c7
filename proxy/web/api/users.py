"""Users: who is erased, and figures."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from aiohttp import web
from pydantic import Field

from proxy import __version__
from proxy.core.models import MEMORY_TYPES, TURN, Owner
from proxy.memory.events import Event
from proxy.memory.store import MemoryStore, Which
from proxy.web.api.bodies import DEFAULT_TENANT, Erased, OfTenant, OfUser
from proxy.web.api.operation import Call, Operation, answer
from proxy.web.api.types import Answer, Given, Tenant, User


class StatsAsked(Given):
    """Of whom figures are wanted."""

    user: Annotated[User | None, Field(description="Of this user; without it of the whole proxy.")] = None
    tenant: Tenant = DEFAULT_TENANT


class Stats(Answer):
    """Figures. Those of the proxy count since its start, but for `points` and `journal`."""

    object: Annotated[Literal["stats"], Field(description="What this is.", examples=["stats"])]
    version: Annotated[str, Field(description="The proxy's.", examples=["0.1.0"])]
    embedding_model: Annotated[
        str, Field(description="What texts are embedded with.", examples=["sentence-transformers/all-MiniLM-L6-v2"])
    ]
    points: Annotated[
        int | None, Field(description="All that is stored, of everybody: memories, messages, earlier versions.", examples=[1200])
    ] = None
    journal: Annotated[
        dict[str, int] | None,
        Field(
            description="Answers that wait to be remembered, and those that were given up.", examples=[{"waiting": 0, "dead": 0}]
        ),
    ] = None
    figures: Annotated[
        dict[str, Any] | None, Field(description="What became of what was told.", examples=[{"stored": 10, "restated": 3}])
    ] = None
    user: Annotated[str | None, Field(description="Whose figures these are.", examples=["ada"])] = None
    tenant: Annotated[str | None, Field(description="The user's tenant.", examples=["default"])] = None
    memories: Annotated[int | None, Field(description="The user's memories that hold.", examples=[12])] = None
    past: Annotated[int | None, Field(description="The user's memories that hold no longer.", examples=[3])] = None
    turns: Annotated[int | None, Field(description="The user's messages that are kept.", examples=[40])] = None


async def erase_user(call: Call) -> web.Response:
    owner = Owner(call.path.user, call.query.tenant)
    count = await call.memory.erasure.erase(owner)
    call.memory.events.publish(Event("forgotten", owner, figures={"erased": count}))
    return answer({"user": owner.user, "tenant": owner.tenant, "object": "user.deleted", "deleted": count})


async def get_stats(call: Call) -> web.Response:
    query: StatsAsked = call.query
    stats: dict[str, Any] = {"object": "stats", "version": __version__, "embedding_model": call.memory.embedder.name}
    if query.user is None:
        counts = await call.memory.remember.journal.counts()
        stats |= {
            "points": await call.memory.store.count(None),
            "journal": {"waiting": counts.waiting, "dead": counts.dead},
            "figures": call.memory.remember.figures.as_dict(),
        }
    else:
        owner = Owner(query.user, query.tenant)
        stats |= {"user": owner.user, "tenant": owner.tenant, **await _counts(call.memory.store, owner)}
    return answer(stats)


async def _counts(store: MemoryStore, owner: Owner) -> dict[str, int]:
    memories = await store.count(owner)
    return {
        "memories": memories,
        "past": await store.count(owner, Which(MEMORY_TYPES, past=True)) - memories,
        "turns": await store.count(owner, Which((TURN,), past=True)),
    }


OPERATIONS = (
    Operation(
        "DELETE",
        "/users/{user}",
        erase_user,
        "Erase a user everywhere: memories, messages, history, journal, traces",
        {200: Erased},
        tag="users",
        path_type=OfUser,
        query_type=OfTenant,
    ),
    Operation("GET", "/stats", get_stats, "Figures of the proxy, or of a user", {200: Stats}, tag="users", query_type=StatsAsked),
)
