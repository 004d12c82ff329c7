"""One frozen dataclass per section of ``proxy.yaml``, and the one reader of YAML and environment.

Order of precedence: flags, then ``MEMORY_PROXY_<SECTION>__<KEY>`` in the environment, then what a running proxy was told to keep
(``settings.yaml`` in ``store.path``), then the file, then the defaults here.
An unknown key or a bad value is a ``ConfigError`` that names the option's full path and what is allowed.
``_s`` is seconds, ``_ms`` milliseconds, ``_bytes`` bytes.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

from proxy.errors import ConfigError
from proxy.options import MASK, address, build, describe, option, path_prefix, refuse_fixed

ENV_PREFIX = "MEMORY_PROXY_"
_LISTS = ("upstreams", "auth.clients")

Layer = tuple[str, dict[str, Any]]
"""Where it comes from, and a tree of texts."""


@dataclass(frozen=True, slots=True)
class Listen:
    host: str = "127.0.0.1"
    port: int = option(8080, least=0, most=65535)
    grace_s: float = option(30.0, least=0)
    tls_certificate: str | None = None
    tls_key: str | None = None

    @property
    def on_loopback(self) -> bool:
        """Whether nobody beyond this machine reaches the address. Of a name other than localhost that can't be told."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host.lower() == "localhost"


@dataclass(frozen=True, slots=True)
class Upstream:
    base_url: str = option("https://api.openai.com/v1", read=address)
    connect_timeout_s: float = option(10.0, least=0.1)
    first_byte_timeout_s: float = option(600.0, least=1)
    idle_timeout_s: float = option(600.0, least=1)
    keepalive_s: float = option(15.0, least=0)


@dataclass(frozen=True, slots=True)
class NamedUpstream:
    """One of several upstreams, chosen by the path's first part or by the model's name."""

    name: str
    base_url: str = option(read=address)
    prefix: str | None = option(None, read=path_prefix)
    models: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Recall:
    enabled: bool = True
    limit: int = option(5, least=1, most=50, live=True)
    min_score: float = option(0.25, least=0, most=1, live=True)
    token_budget: int = option(600, least=16, live=True)
    profile_token_budget: int = option(200, least=0, live=True)
    facts_token_budget: int = option(400, least=0, live=True)
    keep_turns: bool = True
    show_turns: Literal["exchanges", "messages", "none"] = option("exchanges", live=True)
    turn_limit: int = option(3, least=0, most=50, live=True)
    turn_token_budget: int = option(400, least=0, live=True)
    turn_days: int = option(365, least=0)
    deadline_ms: int = option(150, least=1)
    keep_s: float = option(2.0, least=0)
    retry_s: float = option(1.0, least=0.01)
    dense_weight: float = option(0.5, least=0, most=1, live=True)
    memory_weight: float = option(0.5, least=0, most=1, live=True)
    session_weight: float = option(0.5, least=0, most=1, live=True)
    importance_weight: float = option(0.02, least=0, most=1, live=True)
    recency_weight: float = option(0.01, least=0, most=1, live=True)
    recency_days: int = option(30, least=1, most=36_500, live=True)


@dataclass(frozen=True, slots=True)
class Extract:
    enabled: bool = True
    prompt: str | None = None
    min_output_tokens: int = option(256, least=0)
    max_choices: int = option(4, least=1)
    max_block_bytes: int = option(256 * 1024, least=1024)
    early_finish: bool = False
    context_days: int = option(90, least=0)
    redact_emails: bool = False
    redact_phones: bool = False


@dataclass(frozen=True, slots=True)
class Store:
    kind: Literal["edge", "qdrant"] = "edge"
    path: str = "data"
    flush_interval_s: float = option(5.0, least=0.1)
    min_free_bytes: int = option(64 * 1024 * 1024, least=0)
    url: str = option("http://127.0.0.1:6333", read=address)
    api_key: str | None = option(None, secret=True)
    collection: str = "memories"
    quantization: Literal["none", "scalar", "binary"] = "none"
    timeout_s: float = option(5.0, least=0.1)


@dataclass(frozen=True, slots=True)
class Embedding:
    provider: Literal["fastembed", "openai"] = "fastembed"
    model: str = "sentence-transformers/all-MiniLM-L6-v2"
    models_dir: str = "~/.cache/memory-proxy/models"
    precision: Literal["float32", "int8"] = "float32"
    threads: int = option(1, least=1, most=64)
    batch_size: int = option(8, least=1, most=8)
    cache_entries: int = option(10_000, least=0)
    url: str = option("https://api.openai.com/v1", read=address)
    api_key: str | None = option(None, secret=True)
    timeout_s: float = option(10.0, least=0.1)


@dataclass(frozen=True, slots=True)
class Identity:
    default_user: str = "default"
    tenant: Literal["single", "api_key"] = "single"
    tenant_secret: str | None = option(None, secret=True)


@dataclass(frozen=True, slots=True)
class Client:
    """One who is handed a key of the proxy's own. Keys stand in the environment, here are the names of their variables.

    *tenant*: whose memories it shares, by default its own under its name. *modes*: what ``X-Memory-Mode`` may say; the first
    holds without the header.
    """

    name: str
    key_env: str
    tenant: str | None = None
    upstream_key_env: str | None = None
    modes: tuple[Literal["full", "read", "write", "off"], ...] = ("full", "read", "write", "off")


@dataclass(frozen=True, slots=True)
class Auth:
    clients: tuple[Client, ...] = ()
    admin_token: str | None = option(None, secret=True)


@dataclass(frozen=True, slots=True)
class Journal:
    enabled: bool = True
    path: str | None = None
    max_bytes: int = option(256 * 1024 * 1024, least=1024 * 1024)
    deadline_ms: int = option(250, least=1)


@dataclass(frozen=True, slots=True)
class Limits:
    requests: int = option(2000, least=1)
    request_bytes: int = option(512 * 1024 * 1024, least=1024)
    header_bytes: int = option(64 * 1024, least=8190)
    remember_queue: int = option(1000, least=1)
    replay_bytes: int = option(32 * 1024 * 1024, least=0)
    drained_answers: int = option(100, least=0)
    recalls: int = option(64, least=1)
    memories_per_user: int = option(10_000, least=1)
    turns_per_user: int = option(10_000, least=1)


@dataclass(frozen=True, slots=True)
class Traces:
    enabled: bool = True
    content: bool = False
    max_entries: int = option(1000, least=1)
    keep_s: float = option(3600.0, least=1)


@dataclass(frozen=True, slots=True)
class Log:
    level: Literal["debug", "info", "warning", "error"] = option("info", live=True)
    format: Literal["auto", "console", "json"] = "auto"


@dataclass(frozen=True, slots=True)
class Metrics:
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class Config:
    listen: Listen = field(default_factory=Listen)
    upstream: Upstream = field(default_factory=Upstream)
    upstreams: tuple[NamedUpstream, ...] = ()
    recall: Recall = field(default_factory=Recall)
    extract: Extract = field(default_factory=Extract)
    store: Store = field(default_factory=Store)
    embedding: Embedding = field(default_factory=Embedding)
    identity: Identity = field(default_factory=Identity)
    auth: Auth = field(default_factory=Auth)
    journal: Journal = field(default_factory=Journal)
    limits: Limits = field(default_factory=Limits)
    traces: Traces = field(default_factory=Traces)
    log: Log = field(default_factory=Log)
    metrics: Metrics = field(default_factory=Metrics)


def load(
    path: Path | None,
    *,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Config:
    """The effective configuration. *overrides* are flags by dotted path, such as ``listen.port``; ``None`` means not given."""
    file = [] if path is None else [(str(path), _read_file(path))]
    above = [*_environment(os.environ if environ is None else environ), *_flags(overrides or {})]
    config = _layered([*file, *above])
    kept_in = settings_path(config)
    try:
        kept = read_kept(kept_in)
    except OSError:  # a store's disk that is away stops no start; ``Settings`` and doctor tell
        kept = {}
    return _layered([*file, (str(kept_in), kept), *above]) if kept else config


def settings_path(config: Config) -> Path:
    """Where the proxy keeps what it was told, while it ran, to keep."""
    return Path(config.store.path) / "settings.yaml"


def read_kept(path: Path) -> dict[str, Any]:
    """The layer in the file *path*, empty if there is none. Raises ``ConfigError``, or ``OSError`` if it can't be read."""
    try:
        text = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return {}
    tree = _read_mapping(text, str(path))
    try:
        refuse_fixed(Config, tree)
        build(Config, tree)
    except ConfigError as exc:
        raise ConfigError(f"{path}: {exc}") from None
    return tree


def kept_options(path: Path) -> list[tuple[str, str, str | None]]:
    """Each option in the file *path*, its text, and the variable that overrides it. A file that can't be read has none."""
    try:
        tree = read_kept(path)
    except OSError:
        return []
    options = [(f"{section}.{key}", text) for section, values in tree.items() for key, text in values.items()]
    return [(option, text, overriding_variable(option)) for option, text in options]


def overriding_variable(option: str, environ: Mapping[str, str] | None = None) -> str | None:
    """The environment variable that sets *option*, such as ``recall.limit``."""
    environ = os.environ if environ is None else environ
    return next((name for name, text in environ.items() if _dotted(name, text) == option), None)


def as_dict(config: Config, *, mask_secrets: bool = True) -> dict[str, Any]:
    """Plain values, in the order of ``proxy.yaml``; a secret that is set shows as ``"********"``."""
    return {f.name: _plain(getattr(config, f.name), mask_secrets) for f in dataclasses.fields(config)}


def render(config: Config) -> str:
    """The effective values as YAML, secrets masked."""
    return as_yaml(as_dict(config))


def as_yaml(tree: Mapping[str, Any]) -> str:
    return yaml.safe_dump(tree, sort_keys=False, allow_unicode=True)


def _plain(value: Any, mask_secrets: bool) -> Any:
    if dataclasses.is_dataclass(value):
        return {
            f.name: MASK
            if mask_secrets and f.metadata.get("secret") and getattr(value, f.name)
            else _plain(getattr(value, f.name), mask_secrets)
            for f in dataclasses.fields(value)
        }
    if isinstance(value, tuple):
        return [_plain(item, mask_secrets) for item in value]
    return value


def other_model(current: Embedding, changes: Mapping[str, str], environ: Mapping[str, str] | None = None) -> Embedding:
    """*current* with another ``model``, ``provider`` or ``url``, and the key in the variable ``api_key_env``.

    Another server is not sent the key of the one so far. Raises ``ConfigError``.
    """
    named = {name: changes[name] for name in ("model", "provider", "url") if name in changes}
    checked = build(Embedding, named, "embedding")
    url = checked.url if "url" in named else current.url
    key = current.api_key if url == current.url else None
    if "api_key_env" in changes:
        key = (os.environ if environ is None else environ).get(changes["api_key_env"]) or None
        if key is None:
            raise ConfigError("embedding.api_key_env: there is no key in this environment variable; set it where the proxy runs")
    return dataclasses.replace(current, **{name: getattr(checked, name) for name in named}, api_key=key)


# Layers, weakest first.


def _layered(layers: Iterable[Layer]) -> Config:
    tree: dict[str, Any] = {}
    for origin, layer in layers:
        try:
            _build_config(layer)  # alone, so that the message can say where the mistake was made
        except ConfigError as exc:
            raise ConfigError(f"{origin}: {exc}") from None
        _merge(layer, into=tree)
    return _build_config(tree)


def _environment(environ: Mapping[str, str]) -> Iterator[Layer]:
    for name, text in sorted(environ.items()):
        if dotted := _dotted(name, text):
            yield name, _tree(dotted, _read_yaml(text, name) if dotted in _LISTS else text)


def _flags(flags: Mapping[str, Any]) -> Iterator[Layer]:
    for dotted, value in flags.items():
        if value is not None:
            yield "command line", _tree(dotted, str(value))


def _dotted(name: str, text: str) -> str | None:
    """The option that an environment variable sets; an empty variable (``${KEY:-}`` in Compose) sets none.

    Names with single underscores are not ours: Kubernetes sets ``MEMORY_PROXY_PORT`` for a service called memory-proxy.
    """
    if not text.strip() or not name.startswith(ENV_PREFIX):
        return None
    dotted = name.removeprefix(ENV_PREFIX).lower().replace("__", ".")
    return dotted if "." in dotted or dotted == "upstreams" else None


def _tree(dotted: str, value: Any) -> dict[str, Any]:
    section, dot, key = dotted.partition(".")
    return {section: {key: value} if dot else value}


def _merge(layer: dict[str, Any], *, into: dict[str, Any]) -> None:
    for section, value in layer.items():
        if isinstance(value, dict):
            into.setdefault(section, {}).update(value)
        elif value != "":
            into[section] = value


def _read_file(path: Path) -> dict[str, Any]:
    try:
        text = path.read_bytes()
    except OSError as exc:
        raise ConfigError(f"{path}: can't be read: {exc.strerror}") from exc
    return _read_mapping(text, str(path))


def _read_mapping(text: bytes, origin: str) -> dict[str, Any]:
    try:
        tree = _read_yaml(text.decode(), origin)
    except UnicodeDecodeError as exc:
        raise ConfigError(f"{origin}: is not UTF-8 text") from exc
    if not isinstance(tree or {}, dict):
        raise ConfigError(f"{origin}: must be a mapping of sections, not {describe(tree)}")
    return tree or {}


class _Loader(yaml.BaseLoader):
    """Leaves every scalar as the text that was written: the option's type decides what it means, not how it looks.

    So ``api_key: 0123`` keeps its zero. A key given twice is refused: YAML forbids it, PyYAML would take the last.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        names = [key.value for key, _ in node.value]
        for i, (key, _) in enumerate(node.value):
            if key.value in names[:i]:
                raise yaml.MarkedYAMLError(problem=f"{key.value!r} is given twice", problem_mark=key.start_mark)
        return super().construct_mapping(node, deep)


def _read_yaml(text: str, origin: str) -> Any:
    try:
        return yaml.load(text, _Loader)  # noqa: S506, a BaseLoader makes nothing but texts, lists and mappings
    except yaml.MarkedYAMLError as exc:
        line = exc.problem_mark.line + 1 if exc.problem_mark else 1
        raise ConfigError(f"{origin}: is not YAML: line {line}: {exc.problem}") from exc
    except yaml.YAMLError as exc:
        raise ConfigError(f"{origin}: is not YAML: {' '.join(str(exc).split())}") from exc


def _build_config(tree: dict[str, Any]) -> Config:
    config: Config = build(Config, tree)
    _check_upstreams(config.upstreams)
    _check_clients(config.auth.clients)
    return config


def _check_upstreams(upstreams: tuple[NamedUpstream, ...]) -> None:
    for i, each in enumerate(upstreams):
        if each.prefix is None and not each.models:
            raise ConfigError(f"upstreams[{i}]: needs prefix or models")
        for other in upstreams[:i]:
            if each.name == other.name:
                raise ConfigError(f"upstreams[{i}].name: {each.name!r} is taken; use a name of its own")
            if each.prefix is not None and each.prefix == other.prefix:
                raise ConfigError(f"upstreams[{i}].prefix: {each.prefix!r} is taken by {other.name!r}; use another")


def _check_clients(clients: tuple[Client, ...]) -> None:
    for i, each in enumerate(clients):
        if not each.modes:
            raise ConfigError(f"auth.clients[{i}].modes: is empty; leave it out to allow all")
        for other in clients[:i]:
            if each.name == other.name:
                raise ConfigError(f"auth.clients[{i}].name: {each.name!r} is taken; use a name of its own")
            if each.key_env == other.key_env:
                raise ConfigError(f"auth.clients[{i}].key_env: {each.key_env} is the key of {other.name!r}; use another")


# What must be known to serve, and not to look at the configuration or to fetch a model.


@dataclass(frozen=True, slots=True)
class ClientKeys:
    """A client, and what its variables hold."""

    client: Client
    key: str = field(repr=False)
    upstream_key: str | None = field(repr=False)


def check_reach(config: Config) -> None:
    """Raise ``ConfigError`` if other machines can reach the proxy and nothing keeps their callers apart."""
    if config.listen.on_loopback or config.auth.clients or config.identity.tenant == "api_key":
        return
    raise ConfigError(
        f"listen.host: {config.listen.host} can be reached from other machines, where each could name any user; "
        "set auth.clients (who may call, each with a key of the proxy's own) or identity.tenant: api_key "
        "(each caller's API key has its own memories), or listen on 127.0.0.1"
    )


def client_keys(auth: Auth, environ: Mapping[str, str] | None = None) -> list[ClientKeys]:
    """The clients with their keys. Raises ``ConfigError`` for a variable that holds none, or another client's."""
    environ = os.environ if environ is None else environ
    found: list[ClientKeys] = []
    for i, client in enumerate(auth.clients):
        where = f"auth.clients[{i}]"
        key = _key(f"{where}.key_env", client.key_env, environ)
        for other in found:
            if key == other.key:
                raise ConfigError(f"{where}.key_env: {client.key_env} holds the same key as {other.client.key_env}; use another")
        name = client.upstream_key_env
        found.append(ClientKeys(client, key, None if name is None else _key(f"{where}.upstream_key_env", name, environ)))
    return found


def _key(where: str, name: str, environ: Mapping[str, str]) -> str:
    key = environ.get(name, "").strip()
    if not key:
        raise ConfigError(f"{where}: there is no key in the environment variable {name}; set it")
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise ConfigError(f"{where}: {name} must hold one key, of ASCII characters without blanks")
    return key
