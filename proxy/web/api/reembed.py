"""Moving the store to another embedding model, while it is used."""

from __future__ import annotations

import os
from typing import Annotated, Any, Literal

from aiohttp import web
from pydantic import Field

from proxy.config import other_model
from proxy.errors import BadRequest, ConfigError
from proxy.memory.reembedding import Progress
from proxy.web.api.operation import Call, Operation, answer
from proxy.web.api.types import Answer, Given

_Text = Annotated[str, Field(min_length=1, max_length=1000)]


class ModelAsked(Given):
    """The model to move to; what is left out stays as it is."""

    model: Annotated[_Text, Field(description="As in `embedding.model`.", examples=["BAAI/bge-small-en-v1.5"])]
    provider: Annotated[
        Literal["fastembed", "openai"] | None, Field(description="As in `embedding.provider`.", examples=["fastembed"])
    ] = None
    url: Annotated[
        _Text | None,
        Field(
            description="As in `embedding.url`; another server is not sent the key of this one.",
            examples=["http://127.0.0.1:9000/v1"],
        ),
    ] = None
    api_key_env: Annotated[
        _Text | None,
        Field(description="The variable of the proxy's environment that holds its key.", examples=["EMBEDDINGS_KEY"]),
    ] = None


class ReembeddingProgress(Answer):
    """How far it is."""

    object: Annotated[Literal["reembedding"], Field(description="What this is.", examples=["reembedding"])]
    state: Annotated[
        Literal["none", "running", "stopped", "failed", "done"],
        Field(
            description="`stopped`, also by the end of a process: goes on where it was when it is begun again.",
            examples=["running"],
        ),
    ]
    model: Annotated[str | None, Field(description="The model that it moves to.", examples=["BAAI/bge-small-en-v1.5"])]
    provider: Annotated[str | None, Field(description="That model's provider.", examples=["fastembed"])]
    from_: Annotated[
        str | None,
        Field(alias="from", description="The model in use so far.", examples=["sentence-transformers/all-MiniLM-L6-v2"]),
    ]
    done: Annotated[int | None, Field(description="Memories that have their new vector.", examples=[1200])]
    total: Annotated[int | None, Field(description="Memories that there are.", examples=[5000])]
    why: Annotated[str | None, Field(description="What went wrong.", examples=[None])]


async def start_reembedding(call: Call) -> web.Response:
    reembedding = call.memory.reembedding
    asked: ModelAsked = call.body
    changes = {name: value for name, value in asked.model_dump().items() if value is not None}
    try:
        wanted = other_model(reembedding.embedding, changes, os.environ)
    except ConfigError as exc:
        raise BadRequest(str(exc), param=str(exc).partition(":")[0].removeprefix("embedding.")) from exc
    return answer(_described(reembedding.start(wanted)), status=202)


async def get_reembedding(call: Call) -> web.Response:
    return answer(_described(call.memory.reembedding.progress))


async def stop_reembedding(call: Call) -> web.Response:
    """What is done stays done, and the next start goes on there."""
    return answer(_described(await call.memory.reembedding.stop()))


def _described(progress: Progress) -> dict[str, Any]:
    return {
        "object": "reembedding",
        "state": progress.state,
        "model": progress.model,
        "provider": progress.provider,
        "from": progress.origin,
        "done": progress.done,
        "total": progress.total,
        "why": progress.why,
    }


OPERATIONS = (
    Operation(
        "GET",
        "/reembed",
        get_reembedding,
        "How far the move to another embedding model is",
        {200: ReembeddingProgress},
        tag="operations",
    ),
    Operation(
        "POST",
        "/reembed",
        start_reembedding,
        "Move to another embedding model, or go on with it",
        {202: ReembeddingProgress},
        tag="operations",
        body_type=ModelAsked,
        errors=(409,),
    ),
    Operation(
        "DELETE",
        "/reembed",
        stop_reembedding,
        "Stop the move to another embedding model",
        {200: ReembeddingProgress},
        tag="operations",
    ),
)
