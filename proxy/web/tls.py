"""The listener's certificate: two files, read once at the start."""

from __future__ import annotations

import ssl
from pathlib import Path

from proxy.config import Listen
from proxy.errors import ConfigError


def tls_context(listen: Listen) -> ssl.SSLContext | None:
    """``None`` without a certificate. Raises ``ConfigError`` for a file that can't be used."""
    certificate, key = listen.tls_certificate, listen.tls_key
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        missing = "tls_certificate" if certificate is None else "tls_key"
        raise ConfigError(f"listen.{missing}: is missing; TLS needs a certificate and its key")
    _check_readable("listen.tls_certificate", certificate)
    _check_readable("listen.tls_key", key)
    return _loaded(certificate, key)


def _check_readable(option: str, path: str) -> None:
    """OpenSSL would not say which of the two it is."""
    try:
        Path(path).read_bytes()
    except OSError as exc:
        raise ConfigError(f"{option}: {path} can't be read: {exc.strerror}") from exc


def _loaded(certificate: str, key: str) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        # An empty password, as OpenSSL would ask the terminal for one.
        context.load_cert_chain(certificate, key, password="")
    except ssl.SSLError as exc:
        if exc.reason == "KEY_VALUES_MISMATCH":
            raise ConfigError(f"listen.tls_key: {key} is not the key of the certificate in {certificate}") from exc
        raise ConfigError(
            f"listen.tls_certificate, listen.tls_key: {certificate} and {key} must hold a certificate and its key, in PEM and without a password"
        ) from exc
    return context
