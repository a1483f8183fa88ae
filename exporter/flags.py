"""The flags of the command line. Imports next to nothing: a wrong flag is answered at once."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from typing import NoReturn

import exporter
from exporter.web.addresses import ListenAddress

DEFAULT_ADDRESS = ListenAddress(None, 10048)
DEFAULT_CONFIGURATION = "config.yaml"
LOG_LEVELS = ("debug", "info", "warn", "error")


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the flags; those of the process where `arguments` is None.

    Exits with code 0 after `--help` and `--version`, with 2 and one line after a bad flag.
    """
    reader = parser()
    flags = reader.parse_args(arguments)
    if flags.demo and flags.config_file is not None:
        reader.error("--demo brings its own configuration: leave out --config.file")
    if flags.subscriptions and (flags.demo or flags.config_file is not None):
        reader.error("--subscription stands for a configuration: leave out the other one")
    if flags.estimate and not flags.config_check:
        reader.error("--estimate goes with --config.check")
    if flags.auto_reload and (flags.demo or flags.subscriptions):
        reader.error("--config.enable-auto-reload needs a configuration file")
    if flags.config_file is None:
        flags.config_file = DEFAULT_CONFIGURATION
    flags.listen_addresses = tuple(flags.listen_addresses or [DEFAULT_ADDRESS])
    return flags


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Say what is wrong without repeating all flags in front of it."""
        self.exit(2, f"{self.prog}: {message} (--help lists the flags)\n")


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
            f"expected a path such as /metrics that is not another endpoint's, got {text!r}"
        )
    return text


def _file(text: str) -> str:
    if not text:
        # As of a variable that is not set: no other file is taken in its place.
        raise argparse.ArgumentTypeError("expected the name of a file, got none")
    return text


_SUBSCRIPTION = re.compile(r"all|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def _subscription(text: str) -> str:
    if not _SUBSCRIPTION.fullmatch(text):
        raise argparse.ArgumentTypeError(
            f"expected a subscription id such as 00000000-0000-0000-0000-000000000000, or all, "
            f"got {text!r}"
        )
    return text


_DURATION = re.compile(r"([1-9][0-9]{0,6})(ms|s|m|h)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def _duration(text: str) -> float:
    found = _DURATION.fullmatch(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"expected a duration such as 30s or 5m, got {text!r}")
    return int(found[1]) * _SECONDS[found[2]]


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"expected a number from 0 on, got {text!r}")
    return int(text)


def parser() -> argparse.ArgumentParser:
    """The parser of all flags."""
    made = _Parser(
        prog="azure-vmss-exporter",
        description="Prometheus exporter for the state of every VM in Azure scale sets.",
        allow_abbrev=False,
    )
    add = made.add_argument
    add(
        "--config.file",
        dest="config_file",
        type=_file,
        metavar="FILE",
        help=f"the YAML configuration (default: {DEFAULT_CONFIGURATION})",
    )
    add(
        "--config.check",
        dest="config_check",
        action="store_true",
        help="validate the configuration and exit: 0 good, 2 bad",
    )
    add(
        "--estimate",
        action="store_true",
        help="with --config.check: poll every set once, and print what each costs and all together",
    )
    add(
        "--config.enable-auto-reload",
        dest="auto_reload",
        action="store_true",
        help="reload when the content of the configuration, or of a file that it names, changes",
    )
    add(
        "--config.auto-reload-interval",
        dest="auto_reload_interval",
        type=_duration,
        default=30.0,
        metavar="DURATION",
        help="how often the content is looked at (default: 30s)",
    )
    add(
        "--subscription",
        dest="subscriptions",
        action="append",
        type=_subscription,
        metavar="ID",
        help="no configuration needed: find and poll all scale sets of a subscription, with the "
        "default credential; repeatable; all: of every subscription that it sees",
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
        "--web.enable-lifecycle",
        dest="lifecycle",
        action="store_true",
        help="allow POST and PUT /-/reload: whoever can reach the exporter may reload",
    )
    add(
        "--web.max-requests",
        dest="max_requests",
        type=_count,
        metavar="N",
        help="scrapes at a time, more get a 503; 0 for no limit (default: 40)",
    )
    add(
        "--log.level",
        dest="log_level",
        default="info",
        choices=LOG_LEVELS,
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
    return made
