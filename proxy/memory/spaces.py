"""Which model a store's dense vectors were made with, and to which one they are being moved.

Each model has a named vector of its own in the collection: the first that a collection had is ``dense``, every later one has a digest
of its model in its name. So those of two models stand beside each other until the new ones are complete. The store writes down which
is which (``render``, ``parse``), as the names and sizes alone don't tell two models of equal dimensions apart.

A store from before there was such a record is taken to be of the model that is configured.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, cast

from proxy import config
from proxy.errors import StoreError, StoreMismatch

DENSE = "dense"


@dataclass(frozen=True, slots=True)
class Space:
    """A named *vector* of a collection, with what makes it. Without *model*, nobody has written that down."""

    vector: str
    dimensions: int
    provider: str = ""
    model: str = ""

    @property
    def label(self) -> str:
        return f"{self.model} ({self.provider})" if self.model else "an unnamed model"

    def is_of_model(self, other: Space) -> bool:
        """Whether the vectors of both can be compared; what has no name may be anything of that size."""
        if self.dimensions != other.dimensions:
            return False
        return not (self.model and other.model) or _identity(self) == _identity(other)


@dataclass(frozen=True, slots=True)
class Spaces:
    """*current* is searched and written; *coming* is being filled, and will be."""

    current: Space
    coming: Space | None = None

    @property
    def names(self) -> set[str]:
        return {self.current.vector} | ({self.coming.vector} if self.coming else set())


def space_of(embedding: config.Embedding | None, dimensions: int) -> Space:
    """What the model of *embedding* fills, in a collection that has had another before."""
    if embedding is None:
        return Space(DENSE, dimensions)
    space = Space("", dimensions, embedding.provider, embedding.model)
    hashed = hashlib.sha256("\x1f".join(map(str, _identity(space))).encode("utf-8", "surrogatepass")).hexdigest()
    return Space(f"{DENSE}-{hashed[:12]}", dimensions, embedding.provider, embedding.model)


def embedding_of(space: Space, current: config.Embedding) -> config.Embedding | None:
    """*current* with the model of *space*; ``None`` if that has no name."""
    if not space.model:
        return None
    # A name of ours: ``space_of`` took it from such settings.
    return replace(current, provider=cast("Any", space.provider), model=space.model)


def _identity(space: Space) -> tuple[str, str, int]:
    # fastembed's names are the same in any case, and no server tells two models apart by it.
    return space.provider, space.model.casefold(), space.dimensions


def settle(noted: Spaces | None, found: Mapping[str, int], wanted: Space | None, *, where: str, elsewhere: str) -> Spaces:
    """The spaces of the store at *where*, which has the dense vectors *found* (sizes by name), for someone with the model *wanted*.

    ``None`` takes it as it is. Raises ``StoreMismatch`` if it is of another model, with *elsewhere* as one way out.
    """
    spaces = noted if noted is not None and noted.current.vector in found else _unnoted(found, wanted, where)
    if wanted is None:
        return spaces
    _check(spaces, wanted, where, elsewhere)
    current = spaces.current
    if not current.model:
        current = Space(current.vector, current.dimensions, wanted.provider, wanted.model)
    return Spaces(current, spaces.coming)


def _unnoted(found: Mapping[str, int], wanted: Space | None, where: str) -> Spaces:
    if not found:
        if wanted is None:
            raise StoreError(f"{where} holds no memories")
        return Spaces(Space(DENSE, wanted.dimensions))
    names = sorted(found)
    if wanted is not None and found.get(wanted.vector) == wanted.dimensions:
        return Spaces(wanted)
    # The first is ``dense`` if that is among them.
    return Spaces(Space(names[0], found[names[0]]))


def _check(spaces: Spaces, wanted: Space, where: str, elsewhere: str) -> None:
    current, coming = spaces.current, spaces.coming
    if current.is_of_model(wanted):
        return
    moving = f"`{_command(wanted)}`"
    if coming is not None and coming.is_of_model(wanted):
        raise StoreMismatch(
            f"{where} is not yet moved from {current.label} to {wanted.label}: go on with {moving}, or {_setting(current)}"
        )
    if current.dimensions != wanted.dimensions:
        raise StoreMismatch(
            f"{where} holds vectors of {current.dimensions} dimensions{_by(current)}, but the embedding model{_named(wanted)} makes "
            f"{wanted.dimensions}: use the model that it was made with, or {elsewhere}, or move it with {moving}"
        )
    raise StoreMismatch(
        f"{where} was made with {current.label}, and the configuration names {wanted.label}: {_setting(current)}, or {elsewhere}, "
        f"or move it with {moving}"
    )


def _command(wanted: Space) -> str:
    return f"memory-proxy reembed --model {wanted.model} --provider {wanted.provider}" if wanted.model else "memory-proxy reembed"


def _by(space: Space) -> str:
    return f" by {space.label}" if space.model else ""


def _named(space: Space) -> str:
    return f" {space.label}" if space.model else ""


def _setting(space: Space) -> str:
    return f"set embedding.model: {space.model} and embedding.provider: {space.provider}"


def render(spaces: Spaces) -> dict[str, Any]:
    """For JSON."""
    return {"current": asdict(spaces.current), "coming": spaces.coming and asdict(spaces.coming)}


def parse(value: Any) -> Spaces:
    """What ``render`` made; ``ValueError`` for anything else."""
    try:
        coming = value.get("coming")
        return Spaces(_space(value["current"]), None if coming is None else _space(coming))
    except (KeyError, TypeError, AttributeError) as exc:
        raise ValueError(f"not a record of embedding models: {exc!r}") from exc


def _space(value: Mapping[str, Any]) -> Space:
    return Space(str(value["vector"]), int(value["dimensions"]), str(value["provider"]), str(value["model"]))
