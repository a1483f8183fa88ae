"""The certificate authorities that every TLS connection to Azure trusts."""

from __future__ import annotations

import os
import re
import ssl
from pathlib import Path

from exporter.configuration.azure import Azure
from exporter.configuration.errors import ConfigurationError
from exporter.runtime.files import read_file

_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
_LONGEST = 16 * 1024 * 1024
# Base64 has no "-", so each byte is read once, however many begins have no end.
_PEM = re.compile(
    rb"-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----[^-]++"
    rb"-----END (?:X509 |TRUSTED )?CERTIFICATE-----"
)


def new_context(settings: Azure) -> ssl.SSLContext:
    """The rules for TLS that the configuration and the environment ask for.

    `azure.ca_file` counts before SSL_CERT_FILE, that before REQUESTS_CA_BUNDLE, and that before
    the system's own. The files are read once: a changed one counts from the next reload on.

    Raises:
        ConfigurationError: a named file cannot be read, or holds no certificate.
    """
    context = _trusting(settings)
    if not settings.tls_strict:
        # Python 3.13 and later set it. Chain, host name and dates are checked as before.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def files_of(settings: Azure) -> tuple[str, ...]:
    """The files that may name the authorities, each with what shows that it has changed."""
    paths = (settings.ca_file, *(os.environ.get(name) for name in _VARIABLES))
    return tuple(f"{path} {_state_of(path)}" for path in paths if path)


def _state_of(path: str) -> tuple[int, ...]:
    try:
        found = Path(path).stat()
    except (OSError, ValueError):
        return ()
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size


def _trusting(settings: Azure) -> ssl.SSLContext:
    if settings.ca_file:
        return ssl.create_default_context(cadata=_certificates("azure.ca_file", settings.ca_file))
    if path := os.environ.get("SSL_CERT_FILE"):
        # OpenSSL reads it by itself, but ignores errors.
        _certificates("SSL_CERT_FILE", path)
    elif path := os.environ.get("REQUESTS_CA_BUNDLE"):
        # The library that this variable is named after takes a directory too.
        if Path(path).is_dir():
            return ssl.create_default_context(capath=path)
        return ssl.create_default_context(cadata=_certificates("REQUESTS_CA_BUNDLE", path))
    return ssl.create_default_context()


def _certificates(setting: str, path: str) -> str:
    """The certificates of a file, without the comments between them, which may be in any script."""
    try:
        content = read_file(path, at_most=_LONGEST)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ConfigurationError((f"{setting}: {path} cannot be read ({reason})",)) from None
    found = b"\n".join(_PEM.findall(content)).decode("ascii", "ignore")
    if not found:
        message = f"{setting}: {path} holds no certificate in PEM form (BEGIN CERTIFICATE)"
        raise ConfigurationError((message,))
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=found)
    except (ssl.SSLError, ValueError):
        message = f"{setting}: {path} holds a certificate that cannot be read"
        raise ConfigurationError((message,)) from None
    return found
