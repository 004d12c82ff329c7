"""Settings that change while the proxy runs: what is in force, and the file that keeps some for its next start.

Options that are ``live`` in ``config.py`` can be changed. ``config.load`` reads the file at every start.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any

import structlog

from proxy.config import Config, as_yaml, overriding_variable, read_kept, settings_path
from proxy.errors import ConfigError, SettingsError
from proxy.files import write_private
from proxy.options import as_texts, build, refuse_fixed

logger = structlog.get_logger()

_HEAD = """\
# What the running proxy was told to keep (PATCH /memory/v1/config?persist=true).
# It overrides proxy.yaml; the environment overrides it. Take out a line, and the next start is without it.
"""


@dataclass(frozen=True, slots=True)
class Change:
    old: Any
    new: Any


class Settings:
    """*config* is what holds at the start; *apply* puts another in force, and may be called from any thread."""

    def __init__(self, config: Config, apply: Callable[[Config], None], *, environ: Mapping[str, str] | None = None) -> None:
        self._start = self._config = config
        self._apply = apply
        self._environ = environ
        self._path = settings_path(config)
        self._lock = Lock()
        self._kept = self._kept_before()

    @property
    def config(self) -> Config:
        """What is in force."""
        return self._config

    @property
    def changed(self) -> dict[str, Change]:
        """What is in force and was not at the start, by dotted path."""
        return dict(_differences(self._start, self._config))

    @property
    def kept(self) -> dict[str, Any]:
        """What the next start finds in the file, by dotted path."""
        return self._kept

    def overriding(self, option: str) -> str | None:
        """The environment variable that holds in place of what is kept of *option*."""
        return overriding_variable(option, self._environ)

    def change(self, tree: Mapping[str, Any], *, persist: bool = False) -> Config:
        """Put all options of *tree* in force, or none: it is read by the rules of ``proxy.yaml``, its values as JSON has them.

        *persist*: also from the next start on; then this waits for the disk. Raises ``ConfigError`` for what isn't allowed or can't
        be changed, ``SettingsError`` for what can't be written.
        """
        values = _values(as_texts(tree))
        with self._lock:
            config = _with(self._config, values)
            if persist and values:
                self._kept = self._keep(values)
            logger.info("settings changed", options=values, kept=persist)  # before it may be silenced
            self._apply(config)
            self._config = config
        return config

    def _keep(self, values: Mapping[str, Any]) -> dict[str, Any]:
        kept = {**self._read(), **values}
        try:
            write_private(self._path, (_HEAD + as_yaml(_nested(kept))).encode())
        except OSError as exc:
            raise SettingsError(f"{self._path} can't be written: {exc.strerror}; nothing was changed") from exc
        return kept

    def _read(self) -> dict[str, Any]:
        """Anew each time: an operator may have edited it."""
        try:
            return _values(read_kept(self._path))
        except OSError as exc:
            raise SettingsError(f"{self._path} can't be read: {exc.strerror}; nothing was changed") from exc
        except ConfigError as exc:
            raise SettingsError(f"{exc}; nothing was changed") from exc

    def _kept_before(self) -> dict[str, Any]:
        try:
            kept = _values(read_kept(self._path))
        except (ConfigError, OSError) as exc:
            logger.warning("starting without what was to be kept", file=str(self._path), reason=str(exc))
            return {}
        if kept:
            logger.info("kept from an earlier run", file=str(self._path), options=sorted(kept))
        return kept


def _values(tree: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a tree of texts, by dotted path."""
    refuse_fixed(Config, tree)
    read = build(Config, tree)
    return {f"{name}.{key}": getattr(getattr(read, name), key) for name, section in tree.items() for key in section}


def _nested(values: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    tree: dict[str, dict[str, Any]] = {}
    for dotted, value in sorted(values.items()):
        section, _, key = dotted.partition(".")
        tree.setdefault(section, {})[key] = value
    return tree


def _with(config: Config, values: Mapping[str, Any]) -> Config:
    sections = {name: dataclasses.replace(getattr(config, name), **section) for name, section in _nested(values).items()}
    return dataclasses.replace(config, **sections)


def _differences(old: Config, new: Config) -> Iterator[tuple[str, Change]]:
    for section in dataclasses.fields(Config):
        before, after = getattr(old, section.name), getattr(new, section.name)
        for f in dataclasses.fields(before) if before != after else ():
            was, is_ = getattr(before, f.name), getattr(after, f.name)
            if was != is_:
                yield f"{section.name}.{f.name}", Change(was, is_)
