"""The bodies and parameters of the memory API, and what it answers; see ``types`` for the rules of each field."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, JsonValue, model_validator

from proxy.core.models import KEYED, MEMORY_TYPES, TURN, Scope
from proxy.web.api.types import (
    Answer,
    AnyId,
    Categories,
    CategoriesInQuery,
    Category,
    CategoryOrTurn,
    Content,
    Cursor,
    FactValue,
    Given,
    Id,
    Importance,
    Key,
    KeyCursor,
    Metadata,
    QueryText,
    Session,
    Tenant,
    Time,
    Type,
    User,
    UserOrNobody,
    field_error,
    without_nul,
)

BATCH = 1000
PAGE = 1000
FOUND = 100
QUERIES = 10

MAX_RECORD_CHARS = 32_000

DEFAULT_TENANT = "default"

Limit = Annotated[int, Field(description="How many on one page.", examples=[50], ge=1, le=PAGE)]
MinImportance = Annotated[float, Field(description="At least so important.", examples=[0.5], ge=0, le=1)]
AnyScope = Annotated[
    Scope,
    Field(
        description="For all of the user's conversations, for its `session` only, or `global`: for all users of the tenant.",
        examples=["user"],
    ),
]
AnyType = Literal["semantic", "preference", "contextual", "episodic", "procedural", "emotional", "keyed", "turn"]
Count = Annotated[int, Field(ge=0, le=2**53)]
Text = Annotated[str, Field(max_length=MAX_RECORD_CHARS), AfterValidator(without_nul)]
Short = Annotated[str, Field(max_length=4096), AfterValidator(without_nul)]

assert {*AnyType.__args__} == {*MEMORY_TYPES, TURN}  # type: ignore[attr-defined]


# What is taken.


class Whose(Given):
    """An owner: a user, of a tenant."""

    user: User
    tenant: Tenant = DEFAULT_TENANT


class AnyOwner(Given):
    """An owner that must be the memory's, if one is named."""

    user: User | None = None
    tenant: Tenant | None = None


class OfId(Given):
    id: AnyId


class OfUser(Given):
    user: User


class OfTenant(Given):
    tenant: Tenant = DEFAULT_TENANT


class OfKey(Given):
    key: Key


_SESSION_IS_NAMED: dict[str, JsonValue] = {
    "if": {"properties": {"scope": {"const": "session"}}, "required": ["scope"]},
    "then": {"properties": {"session": {"type": "string"}}, "required": ["session"]},
}


def _has_a_value(*names: str) -> Callable[[dict[str, Any]], None]:
    """Null is no value of the fields *names*, as ``_check_given`` says."""

    def change(schema: dict[str, Any]) -> None:
        for name in names:
            field = schema["properties"][name]
            [value] = [each for each in field.pop("anyOf") if each != {"type": "null"}]
            schema["properties"][name] = {name: each for name, each in (value | field).items() if name != "default"}

    return change


class _Written(Given):
    """What a memory is made of, and how long it holds."""

    @model_validator(mode="after")
    def _check_times(self) -> Self:
        begun, ended = getattr(self, "valid_from", None), getattr(self, "valid_until", None)
        if begun is not None and ended is not None and ended < begun:
            raise field_error("valid_until", "must not come before valid_from")
        return self


class NewMemory(_Written):
    """A memory to be added."""

    model_config = ConfigDict(json_schema_extra=_SESSION_IS_NAMED)

    user: User
    tenant: Tenant = DEFAULT_TENANT
    content: Content
    category: Annotated[
        Category | None, Field(description="What it is; `fact` if neither this nor `type` is given.", examples=["preference"])
    ] = None
    type: Annotated[Type | None, Field(description="The finer type; goes before `category`.", examples=["procedural"])] = None
    importance: Importance | None = None
    session: Session | None = None
    scope: AnyScope = "user"
    metadata: Metadata = Field(default_factory=dict)
    valid_from: Annotated[Time | None, Field(description="Since when it holds; without it, since it was made.")] = None
    valid_until: Annotated[Time | None, Field(description="When it ends; without it, as its type does.")] = None
    created_at: Annotated[Time | None, Field(description="When it was made, if it was known before; without it, now.")] = None

    @model_validator(mode="after")
    def _check_scope(self) -> Self:
        if self.scope == "session" and self.session is None:
            raise field_error("session", "is missing: a memory of the scope session is for one")
        return self


class NewMemories(Given):
    """Several memories to be added: all or, if one is wrong, none."""

    memories: Annotated[
        list[NewMemory],
        Field(
            description="At most 1000.",
            examples=[[{"user": "ada", "content": "Has a cat named Mia"}]],
            min_length=1,
            max_length=BATCH,
        ),
    ]

    @model_validator(mode="before")
    @classmethod
    def _spread(cls, value: Any) -> Any:
        """A bare list is taken too, and an owner beside the list stands for those who name none."""
        if isinstance(value, list):
            return {"memories": value}
        if isinstance(value, dict) and isinstance(value.get("memories"), list):
            owner = {name: value[name] for name in ("user", "tenant") if name in value}
            rest = {name: each for name, each in value.items() if name not in owner}
            return rest | {"memories": [owner | each if isinstance(each, dict) else each for each in value["memories"]]}
        return value


_TO_CHANGE = ("content", "category", "type", "importance", "metadata", "valid_from")


def _of_changes(schema: dict[str, Any]) -> None:
    _has_a_value(*_TO_CHANGE)(schema)
    schema["minProperties"] = 1


class MemoryChange(_Written):
    """What is to be different; what is left out stays."""

    model_config = ConfigDict(json_schema_extra=_of_changes)

    content: Content | None = None
    category: Annotated[Category | None, Field(description="What it is.", examples=["preference"])] = None
    type: Annotated[Type | None, Field(description="The finer type; goes before `category`.", examples=["procedural"])] = None
    importance: Importance | None = None
    session: Annotated[Session | None, Field(description="The conversation; null: none.")] = None
    metadata: Metadata | None = None
    valid_from: Annotated[Time | None, Field(description="Since when it holds.")] = None
    valid_until: Annotated[Time | None, Field(description="When it ends; null: never.")] = None

    @model_validator(mode="after")
    def _check_given(self) -> Self:
        if not self.model_fields_set:
            raise ValueError(f"must change something: {', '.join(type(self).model_fields)}")
        for name in _TO_CHANGE:
            if name in self.model_fields_set and getattr(self, name) is None:
                raise field_error(name, "must not be null")
        return self


class _Filters(Given):
    since: Annotated[Time | None, Field(description="Made then or later.")] = None
    until: Annotated[Time | None, Field(description="Made then or earlier.")] = None
    min_importance: MinImportance | None = None
    as_of: Annotated[Time | None, Field(description="As it was at that time, also what has ended since.")] = None


class MemoriesAsked(_Filters):
    """Which memories are listed."""

    user: User
    tenant: Tenant = DEFAULT_TENANT
    category: Annotated[CategoryOrTurn | None, Field(description="Only this one.", examples=["preference"])] = None
    categories: Annotated[
        CategoriesInQuery | None,
        Field(description="Only these, with commas between them: `preference`, `fact`, `context`, `turn` (the user's messages)."),
    ] = None
    session: Session | None = None
    scope: Annotated[
        Literal["user", "global"], Field(description="`global`: those that all users of the tenant share.", examples=["user"])
    ] = "user"
    past: Annotated[
        bool, Field(description="Also what no longer holds: earlier versions, and what has ended.", examples=[False])
    ] = False
    turns: Annotated[bool, Field(description="Also the user's own messages, as far as they are kept.", examples=[False])] = False
    limit: Limit = 50
    cursor: Cursor | None = None


class WeightedQuery(Given):
    """One of several things that are looked for."""

    query: QueryText
    weight: Annotated[float, Field(description="What it counts with `aggregate: weighted`.", examples=[2.0], gt=0, le=1000)] = 1.0


def _query_alone(value: Any) -> Any:
    return {"query": value} if isinstance(value, str) else value


QueryOrText = Annotated[WeightedQuery, BeforeValidator(_query_alone, json_schema_input_type=QueryText | WeightedQuery)]


def _of_searches(schema: dict[str, Any]) -> None:
    _has_a_value("query", "queries")(schema)
    schema["oneOf"] = [{"required": ["query"]}, {"required": ["queries"]}]


class SearchAsked(_Filters):
    """What is looked for, and where: `query`, or `queries`."""

    model_config = ConfigDict(json_schema_extra=_of_searches)

    user: User
    tenant: Tenant = DEFAULT_TENANT
    categories: Categories | None = None
    query: QueryText | None = None
    queries: Annotated[
        list[QueryOrText] | None,
        Field(
            description="Several things that are looked for, at most 10; a text alone has the weight 1.",
            examples=[["tea", {"query": "coffee", "weight": 2.0}]],
            min_length=1,
            max_length=QUERIES,
        ),
    ] = None
    aggregate: Annotated[
        Literal["max", "mean", "weighted"], Field(description="How the scores of several queries become one.", examples=["max"])
    ] = "max"
    session: Annotated[Session | None, Field(description="Also what is remembered for this conversation only.")] = None
    turns: Annotated[bool, Field(description="Also the user's own messages.", examples=[False])] = False
    limit: Annotated[int, Field(description="How many are found at most.", examples=[10], ge=1, le=FOUND)] = 10
    min_score: Annotated[
        float,
        Field(description="Least `score` of what is found: the nearest are, however far they are.", examples=[0.2], ge=0, le=1),
    ] = 0.0

    @model_validator(mode="after")
    def _check_queries(self) -> Self:
        if len({"query", "queries"} & self.model_fields_set) != 1:
            raise field_error("query", "is needed, or queries, and not both")
        if self.query is None and self.queries is None:
            raise field_error("query" if "query" in self.model_fields_set else "queries", "must not be null")
        return self

    @property
    def asked(self) -> list[WeightedQuery]:
        return self.queries or [WeightedQuery.model_construct(query=self.query or "")]


class FactChange(Given):
    """What a fact with a name says. What is left out stays as it was."""

    value: FactValue
    importance: Importance | None = None
    metadata: Metadata | None = None


class FactsAsked(Whose):
    """Whose facts, and how many of them."""

    limit: Limit = PAGE
    cursor: KeyCursor | None = None


class ExportAsked(Given):
    """Which memories are taken along."""

    user: Annotated[User | None, Field(description="Whose; without it everybody's of the tenant.")] = None
    tenant: Tenant = DEFAULT_TENANT
    all: Annotated[bool, Field(description="Everybody's, of all tenants.", examples=[False])] = False
    turns: Annotated[bool, Field(description="Also the users' own messages.", examples=[True])] = False
    vectors: Annotated[
        bool, Field(description="With their vectors, so that an import need not embed them anew.", examples=[False])
    ] = False


class ImportAsked(Given):
    """To whom the memories go."""

    user: Annotated[User | None, Field(description="To this user, whoever's they were; each gets an id of its own.")] = None
    tenant: Annotated[Tenant | None, Field(description="To this tenant, whichever they were of.")] = None


# What is given.


class MemoryRecord(Answer):
    """A memory, or a message of the user's, as it is given, exported and imported."""

    id: Id
    object: Annotated[Literal["memory"], Field(description="What this is.", examples=["memory"])] = "memory"
    user: UserOrNobody
    tenant: Tenant = DEFAULT_TENANT
    content: Annotated[
        str,
        Field(
            description="What is remembered.",
            examples=["Prefers Python for backend work"],
            min_length=1,
            max_length=MAX_RECORD_CHARS,
        ),
        AfterValidator(without_nul),
    ]
    category: Annotated[
        CategoryOrTurn, Field(description="What it is; `turn` is a message of the user's.", examples=["preference"])
    ]
    type: Annotated[
        AnyType, Field(description="The finer type; of a fact with a key `keyed`, of a message `turn`.", examples=["preference"])
    ]
    importance: Importance
    session: Session | None
    scope: AnyScope
    metadata: Metadata
    created_at: Annotated[Time, Field(description="When it was first remembered.")]
    updated_at: Annotated[Time, Field(description="When it was last changed.")]
    valid_from: Annotated[Time, Field(description="Since when it holds.")]
    valid_until: Annotated[Time | None, Field(description="When it ends or ended; null: it holds.")]
    replaces: Annotated[
        Id | None, Field(description="The id of the version before it.", examples=["2f1b6a52-6c5e-4d6e-9a5f-0c9f1f0c7b11"])
    ]
    conflicts: Annotated[list[Id], Field(description="Ids of memories that say otherwise and are as current.", examples=[[]])]
    access_count: Annotated[Count, Field(description="How often it was said again.", examples=[3])]
    last_accessed_at: Annotated[Time | None, Field(description="When it was last said again.")]
    source: Annotated[
        Short,
        Field(
            description="`chat`: a model noted it; `turn`: a message; `api`: this API; or where it was imported from.",
            examples=["chat"],
        ),
    ]
    key: Annotated[Key | None, Field(description="The name of a fact that has one.", examples=["favourite_editor"])] = None
    flagged: Annotated[
        bool, Field(description="It reads as an order to the model, and never enters the profile.", examples=[False])
    ] = False
    trace: Annotated[Short | None, Field(description="The request that it came from.", examples=["9f3c2b5e8a714d60"])] = None
    last_trace: Annotated[
        Short | None, Field(description="The last request that said it again.", examples=["9f3c2b5e8a714d60"])
    ] = None
    model: Annotated[Short | None, Field(description="The model that noted it.", examples=["gpt-4o-mini"])] = None
    turns: Annotated[list[Id], Field(description="Ids of the messages that said it.", examples=[[]], default_factory=list)]
    speaker: Annotated[Short | None, Field(description="Of a message: the name of who said it.", examples=["Ada"])] = None
    reply: Annotated[Text | None, Field(description="Of a message: the answer to it.", examples=["Noted!"])] = None

    @model_validator(mode="after")
    def _check_fields(self) -> Self:
        """For imports; what is given is as it is in the store."""
        if (self.type == KEYED) != (self.key is not None):
            raise field_error("key", "is for facts of the type keyed, and they need one")
        if (self.scope == "global") != (not self.user):
            raise field_error("user", "only what is for all users of a tenant has an empty one")
        if self.scope == "session" and self.session is None:
            raise field_error("session", "must not be null: a memory of the scope session is for one")
        return self


class MemoryList(Answer):
    """Memories, and whether there are more."""

    object: Annotated[Literal["list"], Field(description="What this is.", examples=["list"])]
    data: Annotated[list[MemoryRecord], Field(description="The memories.")]
    has_more: Annotated[bool, Field(description="Whether another page follows.", examples=[False])]
    next_cursor: Annotated[str | None, Field(description="The `cursor` of the next page.", examples=[None])]


class ScoreParts(Answer):
    """How a score came about. `dense` is a cosine similarity, `sparse` a BM25 score; the others are what each added to the whole."""

    dense: Annotated[float | None, Field(description="Similarity of meaning; null: not among the nearest.", examples=[0.61])]
    sparse: Annotated[float | None, Field(description="BM25 of the words; null: shares none.", examples=[4.2])]
    session: Annotated[float, Field(description="Lent by the best of its conversation.", examples=[0.25])]
    neighbour: Annotated[float, Field(description="Lent to a message by its memories.", examples=[0.0])]
    importance: Annotated[float, Field(description="By its importance.", examples=[0.014])]
    recency: Annotated[float, Field(description="By its age.", examples=[0.01])]


class FoundMemory(MemoryRecord):
    """A memory that was found."""

    score: Annotated[
        float, Field(description="How well it fits, from 0 to 1; only comparable within one search.", examples=[0.44])
    ]
    scores: Annotated[ScoreParts, Field(description="How the score came about.")]


class FoundList(Answer):
    """Memories that were found, best first."""

    object: Annotated[Literal["list"], Field(description="What this is.", examples=["list"])]
    data: Annotated[list[FoundMemory], Field(description="The memories, best first.")]
    has_more: Annotated[bool, Field(description="Always false: ask with a larger limit.", examples=[False])]
    next_cursor: Annotated[None, Field(description="Always null.", examples=[None])]


class Deleted(Answer):
    """What was deleted."""

    id: Annotated[str, Field(description="The memory that is gone.", examples=["7b0c5f0e-52a1-4a0f-8d25-3f6a8f1c2d3e"])]
    object: Annotated[Literal["memory.deleted", "fact.deleted"], Field(description="What this is.", examples=["memory.deleted"])]
    deleted: Annotated[bool, Field(description="Always true.", examples=[True])]


class Erased(Answer):
    """Who was erased."""

    user: Annotated[str, Field(description="Who is forgotten.", examples=["ada"])]
    tenant: Annotated[str, Field(description="The user's tenant.", examples=["default"])]
    object: Annotated[Literal["user.deleted"], Field(description="What this is.", examples=["user.deleted"])]
    deleted: Annotated[
        int, Field(description="How many memories, messages and earlier versions there were.", examples=[12], ge=0)
    ]


class FactRecord(Answer):
    """A fact that has a name."""

    key: Annotated[str, Field(description="Its name.", examples=["favourite_editor"])]
    object: Annotated[Literal["fact"], Field(description="What this is.", examples=["fact"])]
    value: Annotated[str, Field(description="What it says.", examples=["Neovim"])]
    user: Annotated[str, Field(description="Whose it is.", examples=["ada"])]
    tenant: Annotated[str, Field(description="The user's tenant.", examples=["default"])]
    id: Id
    importance: Importance
    metadata: Annotated[dict[str, JsonValue], Field(description="What the caller keeps beside it.", examples=[{}])]
    created_at: Annotated[Time, Field(description="When it was first set.")]
    updated_at: Annotated[Time, Field(description="When it was last set.")]
    valid_from: Annotated[Time, Field(description="Since when it says this.")]
    valid_until: Annotated[Time | None, Field(description="Until when it said this; null: it does.")]


class FactList(Answer):
    """Facts, or the versions of one."""

    object: Annotated[Literal["list"], Field(description="What this is.", examples=["list"])]
    data: Annotated[list[FactRecord], Field(description="The facts, by their keys; or versions, the latest first.")]
    has_more: Annotated[bool, Field(description="Whether another page follows.", examples=[False])]
    next_cursor: Annotated[str | None, Field(description="The `cursor` of the next page.", examples=[None])]


class Imported(Answer):
    """What became of the lines."""

    object: Annotated[Literal["import"], Field(description="What this is.", examples=["import"])]
    imported: Annotated[int, Field(description="Lines that are in the store now.", examples=[100], ge=0)]
    created: Annotated[int, Field(description="Of them, those that were not there before.", examples=[98], ge=0)]
    updated: Annotated[int, Field(description="Of them, those that were there.", examples=[2], ge=0)]


class ErrorBody(Answer):
    """The parts of an error."""

    message: Annotated[str, Field(description="What was wrong, and what is allowed.", examples=["user: is missing"])]
    type: Annotated[str, Field(description="The kind of error.", examples=["invalid_request_error"])]
    param: Annotated[str | None, Field(description="The field or parameter that was wrong.", examples=["user"])]
    code: Annotated[str | None, Field(description="The kind of error, for programs.", examples=["bad_request"])]


class Error(Answer):
    """An error, in the shape that OpenAI's clients know."""

    error: Annotated[ErrorBody, Field(description="What was wrong.")]
