"""The command line: flags, exit codes, and what is said when something is wrong at the start."""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import re
import sys
from collections.abc import Sequence

import exporter
from exporter import daemon, demo, logs
from exporter.assembly import check
from exporter.configuration import Configuration, ConfigurationError, load
from exporter.files import read_file
from exporter.metrics.catalogue import RESERVED_LABELS
from exporter.web.addresses import ListenAddress
from exporter.web.scrapes import MAX_REQUESTS

GOOD, FAILED, BAD_INPUT = 0, 1, 2
DEFAULT_ADDRESS = ":10048"

LARGEST_FILE = 16 * 1024 * 1024
"""Bytes of a configuration; 10,000 scale sets with labels need some two million."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the result is the process's exit code.

    0 is a clean end, 1 a failed `--once` or a fault while running, 2 a bad flag or
    configuration.
    """
    flags = _parser().parse_args(arguments)
    logs.configure(level=flags.log_level, form=flags.log_format)
    try:
        return _run(flags)
    except ConfigurationError as error:
        for problem in error.problems:
            print(f"{flags.config_file}: {problem}", file=sys.stderr)  # noqa: T201 - the answer
        return BAD_INPUT
    except daemon.StartError as error:
        print(f"azure-vmss-exporter: {error}", file=sys.stderr)  # noqa: T201 - the answer
        return BAD_INPUT
    except KeyboardInterrupt:
        return GOOD
    except BrokenPipeError:
        # Whoever read the page of --once has seen enough. What is left must not be flushed.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return GOOD


def _run(flags: argparse.Namespace) -> int:
    listen = tuple(flags.listen_addresses or [ListenAddress.parse(DEFAULT_ADDRESS)])
    options = daemon.Options(
        listen=listen,
        telemetry_path=flags.telemetry_path,
        max_requests=flags.max_requests,
        version=exporter.__version__,
        python_version=platform.python_version(),
    )
    if flags.demo and not flags.config_check:
        return asyncio.run(demo.run(options, once=flags.once))

    def read() -> tuple[Configuration, str]:
        text = _read(flags.config_file)
        return load(text, environment=os.environ, reserved_labels=RESERVED_LABELS), text

    configuration, text = read()
    if flags.config_check:
        check(configuration)
        count = len(configuration.targets())
        print(f"{flags.config_file}: good, {count} scale sets")  # noqa: T201 - the answer
        return GOOD
    if flags.once:
        return asyncio.run(daemon.run_once(configuration, text, options))
    return asyncio.run(daemon.run(configuration, text, options, read=read))


def _read(path: str) -> str:
    try:
        return read_file(path, at_most=LARGEST_FILE).decode()
    except OSError as error:
        message = (
            f"cannot be read: {error.strerror}; name the file with --config.file, or try --demo"
        )
        raise ConfigurationError((message,)) from None
    except UnicodeDecodeError as error:
        raise ConfigurationError((f"is not UTF-8 text (byte {error.start})",)) from None


def _address(text: str) -> ListenAddress:
    try:
        return ListenAddress.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


# Not a prefix of what other endpoints answer, and nothing that a client would encode.
_PATH = re.compile(r"(?!/(?:-|api)(?:/|$)|/(?:healthz|readyz)$)(?:/[A-Za-z0-9._~-]+)+/?|/")


def _path(text: str) -> str:
    if not _PATH.fullmatch(text):
        raise argparse.ArgumentTypeError(
            f"expected a path such as /metrics that is no other endpoint's, got {text!r}"
        )
    return text


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"expected a number from 0 on, got {text!r}")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="azure-vmss-exporter",
        description="Prometheus exporter for the state of every VM in Azure scale sets.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add(
        "--config.file",
        dest="config_file",
        default="config.yaml",
        metavar="FILE",
        help="the YAML configuration (default: config.yaml)",
    )
    add(
        "--config.check",
        dest="config_check",
        action="store_true",
        help="validate the configuration and exit: 0 good, 2 bad",
    )
    add(
        "--demo",
        action="store_true",
        help="no Azure needed: poll an embedded simulated Azure with a lively fleet",
    )
    add(
        "--once",
        action="store_true",
        help="poll every scale set once, print the exposition text and exit",
    )
    add(
        "--web.listen-address",
        dest="listen_addresses",
        action="append",
        type=_address,
        metavar="ADDR",
        help="host:port, :port or [::1]:port; repeatable (default: :10048)",
    )
    add(
        "--web.telemetry-path",
        dest="telemetry_path",
        default="/metrics",
        type=_path,
        metavar="PATH",
        help="where the metrics are (default: /metrics)",
    )
    add(
        "--web.max-requests",
        dest="max_requests",
        default=MAX_REQUESTS,
        type=_count,
        metavar="N",
        help="scrapes at a time, more get a 503; 0 for no limit (default: 40)",
    )
    add(
        "--log.level",
        dest="log_level",
        default="info",
        choices=tuple(logs.LEVELS),
        help="the least severe messages that are logged (default: info)",
    )
    add(
        "--log.format",
        dest="log_format",
        default="logfmt",
        choices=("logfmt", "json"),
        help="the form of the log (default: logfmt)",
    )
    add("--version", action="version", version=f"azure-vmss-exporter {exporter.__version__}")
    return parser
