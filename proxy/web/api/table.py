"""All calls of the memory API."""

from __future__ import annotations

from proxy.web.api import facts, memories, settings, transfer, users
from proxy.web.api.operation import Operation

OPERATIONS: tuple[Operation, ...] = (
    *memories.OPERATIONS,
    *facts.OPERATIONS,
    *transfer.OPERATIONS,
    *users.OPERATIONS,
    *settings.OPERATIONS,
)
