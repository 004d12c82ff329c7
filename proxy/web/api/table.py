"""All calls of the memory API."""

from __future__ import annotations

from proxy.web.api import facts, memories, reembed, settings, traces, transfer, users
from proxy.web.api.description import with_description
from proxy.web.api.operation import Operation

_SUBJECTS = (memories, facts, transfer, users, settings, traces, reembed)

OPERATIONS: tuple[Operation, ...] = with_description(tuple(each for subject in _SUBJECTS for each in subject.OPERATIONS))
