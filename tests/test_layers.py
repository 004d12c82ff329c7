"""The house as docs/architecture.md draws it: imports point one way, and each foreign library has its one room."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "proxy"

ROOMS = ["__main__", "cli", "demo", "app", "web", "memory", "core"]
"""Each may import itself and those to its right."""

LEAVES = {"errors", "options", "config", "files", "resources", "settings", "logs"}
"""Every room but the core may import these; they import each other only."""

IMPORTERS = {
    "aiohttp": {"app", "demo", "web"},
    "fastembed": {"memory.embedder"},
    "httpx": {"cli.remote", "memory.openai_embedder"},
    "huggingface_hub": {"memory.models"},
    "onnx": {"memory.int8_graph", "memory.onnx_graph"},
    "openai": {"demo", "memory.openai_embedder"},
    "prometheus_client": {"web.metrics.exposition", "web.metrics.parts", "web.metrics.requests"},
    "pydantic": {"web"},
    "qdrant_client": {"memory.qdrant", "memory.qdrant_filters"},
    "qdrant_edge": {"memory.edge", "memory.edge_filters", "memory.edge_shard"},
    "rich": {"cli", "demo"},
    "safetensors": {"memory.onnx_graph"},
    "shtab": {"cli.completion"},
    "yaml": {"config"},
}


def module(path):
    """``memory.edge`` for proxy/memory/edge.py."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")


def imports():
    """Every import of the package as (importer, imported), names below ``from x import`` included."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                yield from ((module(path), name.name) for name in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield from ((module(path), f"{node.module}.{name.name}") for name in node.names)


def of_ours():
    return [(importer, name.removeprefix("proxy.")) for importer, name in imports() if name.startswith("proxy.")]


def foreign():
    return [(importer, name.partition(".")[0]) for importer, name in imports() if not name.startswith("proxy.")]


def room(name):
    return name.partition(".")[0]


def may_import(importer):
    first = room(importer)
    if first in LEAVES:
        return LEAVES
    return {*ROOMS[ROOMS.index(first) :], *(LEAVES if first != "core" else ())}


def test_imports_point_one_way():
    known = {*ROOMS, *LEAVES, "__version__"}
    assert {room(name) for _, name in of_ours()} <= known
    assert [(a, b) for a, b in of_ours() if room(b) != "__version__" and room(b) not in may_import(a)] == []


def test_the_core_knows_the_standard_library_and_orjson():
    allowed = {*sys.stdlib_module_names, "orjson"}
    assert [(a, b) for a, b in foreign() if room(a) == "core" and b not in allowed] == []


def test_the_core_neither_waits_nor_logs_nor_looks_at_a_clock():
    assert [
        (a, b) for a, b in foreign() if room(a) == "core" and b in {"asyncio", "logging", "socket", "threading", "time"}
    ] == []


def test_the_web_knows_no_store_or_embedder_by_its_library():
    concrete = tuple(f"memory.{name}." for name in ("edge", "qdrant", "openai_embedder", "onnx_graph", "int8_graph"))
    assert [(a, b) for a, b in of_ours() if room(a) == "web" and b.startswith(concrete)] == []


@pytest.mark.parametrize("library", IMPORTERS)
def test_a_foreign_library_has_its_room(library):
    importers = {a for a, b in foreign() if b == library}
    assert {a for a in importers if a not in IMPORTERS[library] and room(a) not in IMPORTERS[library]} == set()
