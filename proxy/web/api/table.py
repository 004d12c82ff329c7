"""All calls of the memory API."""

from __future__ import annotations

from proxy.web.api import facts, memories, transfer, users
from proxy.web.api.description import with_description
from proxy.web.api.operation import Operation

OPERATIONS: tuple[Operation, ...] = with_description(
    (*memories.OPERATIONS, *facts.OPERATIONS, *transfer.OPERATIONS, *users.OPERATIONS)
)
