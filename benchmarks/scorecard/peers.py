"""Other people's proxies, in virtual environments of their own under ``.peers/``, which ``scripts/peers`` makes.

Each runs as it comes, in its leanest form: no cache that would answer instead of the upstream, no rate limit, nothing sent home.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from benchmarks.scorecard.system import NotStarted, command, free_port

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".peers"
PINS = Path(__file__).parent / "pins"
Started = tuple[str, int]
"""Its address, and its process id."""


def python(name: str) -> Path:
    """The interpreter of a peer that is installed. Raises ``NotStarted`` for one that isn't."""
    found = FOLDER / name / "bin" / "python"
    if not (FOLDER / name / "installed").exists():
        raise NotStarted(f"not installed: scripts/peers {name}")
    return found


def version(name: str) -> str:
    """As it is pinned: ``litellm 1.105.7``."""
    package, _, number = (PINS / f"{name}.txt").read_text(encoding="utf-8").strip().partition("==")
    return f"{package.partition('[')[0]} {number}"


@contextmanager
def litellm(upstream: str) -> Iterator[Started]:
    program, port = python("litellm").with_name("litellm"), free_port()
    model = {"model": "openai/gpt-4o", "api_base": f"{upstream}/v1", "api_key": "sk-upstream"}
    settings = {
        "model_list": [{"model_name": "gpt-4o", "litellm_params": model}],
        "litellm_settings": {"telemetry": False, "num_retries": 0},
    }
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "config.yaml"
        config.write_text(json.dumps(settings), encoding="utf-8")  # which is YAML
        arguments = ["--config", str(config), "--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]
        # Only people on this machine can ask it, and it has no key worth having.
        env = {"LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true"}
        env |= {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR", "LITELLM_MODE": "PRODUCTION"}
        ready = f"http://127.0.0.1:{port}/health/liveliness"
        with command([str(program), *arguments], ready=ready, env=env, cwd=Path(folder)) as pid:
            yield f"http://127.0.0.1:{port}", pid


@contextmanager
def headroom(upstream: str) -> Iterator[Started]:
    program, port = python("headroom").with_name("headroom"), free_port()
    lean = ["--no-optimize", "--no-cache", "--no-rate-limit", "--no-telemetry", "--no-subscription-tracking", "--stateless"]
    arguments = ["proxy", "--host", "127.0.0.1", "--port", str(port), "--openai-api-url", f"{upstream}/v1", *lean]
    with tempfile.TemporaryDirectory() as folder:
        env = {"HOME": folder, "HF_HUB_OFFLINE": "1", "DO_NOT_TRACK": "1"}
        ready = f"http://127.0.0.1:{port}/health"
        with command([str(program), *arguments], ready=ready, env=env, cwd=Path(folder)) as pid:
            yield f"http://127.0.0.1:{port}", pid


PEERS: dict[str, Callable[[str], AbstractContextManager[Started]]] = {"litellm": litellm, "headroom": headroom}
