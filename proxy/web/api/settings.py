"""What is in force, what was changed since the start, and what is kept for the next one."""

from __future__ import annotations

import asyncio
import dataclasses
import typing
from typing import Annotated, Any

from aiohttp import web
from pydantic import Field, JsonValue, RootModel, WithJsonSchema

from proxy.config import Config, as_dict
from proxy.errors import BadRequest, ConfigError, NotWritten, SettingsError
from proxy.settings import Settings
from proxy.web.api.operation import Call, Operation, answer
from proxy.web.api.types import Answer, Flag, Given

SETTINGS = web.AppKey("settings", Settings)

Tree = dict[str, Any]

_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string"}


def _section_schema(section: Any) -> Tree:
    """The options of a section that can be changed, as ``options`` reads them."""
    hints = typing.get_type_hints(section)
    live = {f.name: _option_schema(hints[f.name], f) for f in dataclasses.fields(section) if f.metadata.get("live")}
    return {"type": "object", "properties": live, "additionalProperties": False} if live else {}


def _option_schema(hint: Any, f: dataclasses.Field[Any]) -> Tree:
    schema: Tree = {"enum": [*typing.get_args(hint)]} if typing.get_args(hint) else {"type": _TYPES[hint]}
    limits = {"minimum": f.metadata.get("least"), "maximum": f.metadata.get("most")}
    described = {"description": "As in proxy.yaml.", "examples": [f.default]}
    return {**schema, **{name: limit for name, limit in limits.items() if limit is not None}, **described}


def _changes_schema() -> Tree:
    hints = typing.get_type_hints(Config)
    sections = {
        f.name: _section_schema(hints[f.name]) for f in dataclasses.fields(Config) if dataclasses.is_dataclass(hints[f.name])
    }
    changeable = {
        name: {**schema, "description": "Options of this section that can be changed while the proxy runs.", "examples": [{}]}
        for name, schema in sections.items()
        if schema
    }
    return {"type": "object", "properties": changeable, "additionalProperties": False}


class SettingsChange(RootModel[Annotated[dict[str, dict[str, JsonValue]], WithJsonSchema(_changes_schema())]]):
    """Options by section, as in ``proxy.yaml``: all are changed or, if one is wrong, none."""


class ChangeAsked(Given):
    """For how long."""

    persist: Annotated[Flag, Field(description="Also for the proxy's next starts.", examples=[False])] = False


class SettingsInForce(Answer):
    """What is in force; secrets are masked."""

    object: Annotated[str, Field(description="What this is.", examples=["config"])]
    config: Annotated[dict[str, Any], Field(description="Every option, by section.", examples=[{"recall": {"limit": 8}}])]
    changed: Annotated[
        dict[str, Any], Field(description="What was changed since the start.", examples=[{"recall.limit": {"old": 5, "new": 8}}])
    ]
    persisted: Annotated[
        dict[str, Any],
        Field(
            description="What the next start finds, and the environment variable that holds in its place, if there is one.",
            examples=[{"recall.limit": {"value": 8, "overridden_by": None}}],
        ),
    ]


async def get_config(call: Call) -> web.Response:
    return answer(described(call.request.app[SETTINGS]))


async def change_config(call: Call) -> web.Response:
    settings = call.request.app[SETTINGS]
    try:
        # In a thread, as it may wait for the disk. It goes on to its end if the client leaves meanwhile.
        await asyncio.to_thread(settings.change, call.body.root, persist=call.query.persist)
    except ConfigError as exc:
        raise BadRequest(str(exc), param=exc.option) from exc
    except SettingsError as exc:
        raise NotWritten(str(exc)) from exc
    return answer(described(settings))


def described(settings: Settings) -> Tree:
    """As ``SettingsInForce``."""
    return {
        "object": "config",
        "config": as_dict(settings.config),
        "changed": {option: {"old": each.old, "new": each.new} for option, each in settings.changed.items()},
        "persisted": {
            option: {"value": value, "overridden_by": settings.overriding(option)} for option, value in settings.kept.items()
        },
    }


OPERATIONS = (
    Operation("GET", "/config", get_config, "The settings in force", {200: SettingsInForce}, tag="operations"),
    Operation(
        "PATCH",
        "/config",
        change_config,
        "Change settings of the running proxy",
        {200: SettingsInForce},
        tag="operations",
        query_type=ChangeAsked,
        body_type=SettingsChange,
        errors=(500,),
    ),
)
