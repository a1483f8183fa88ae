"""The simulated Azure as a command: `python -m exporter.simulator`."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import secrets
import signal
import sys
from pathlib import Path

import pydantic
import yaml

from exporter.simulator import Fleet, SimulatedAzure

GOOD, BAD_INPUT = 0, 2


def main() -> int:
    """Serve until SIGTERM or SIGINT. The exit code is 0, or 2 for a bad flag or fleet file."""
    flags = _parser().parse_args()
    try:
        fleet = Fleet.from_yaml(Path(flags.fleet_file).read_text("utf-8"))
        token = (
            Path(flags.token_file).read_text("utf-8").strip() if flags.token_file else flags.token
        )
    except FileNotFoundError as error:
        return _refuse(f"{error.filename}: there is no such file")
    except OSError as error:
        return _refuse(f"{error.filename}: {error.strerror}")
    except (pydantic.ValidationError, yaml.YAMLError, UnicodeDecodeError) as error:
        return _refuse(f"{flags.fleet_file}: {error}")
    host, _, port = flags.listen_address.rpartition(":")
    if not port.isdecimal():
        return _refuse(f"--web.listen-address: not HOST:PORT: {flags.listen_address}")
    with contextlib.suppress(KeyboardInterrupt):
        return asyncio.run(_serve(fleet, token, host.strip("[]") or "127.0.0.1", int(port)))
    return GOOD


async def _serve(fleet: Fleet, token: str, host: str, port: int) -> int:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stopped.set)
    azure = SimulatedAzure(fleet, token=token or secrets.token_urlsafe(24))
    try:
        await azure.start(host, port)
    except OSError as error:
        return _refuse(f"cannot listen on {host}:{port}: {error.strerror}")
    try:
        _say(f"simulated Azure with {fleet.instance_count()} instances on {azure.url}")
        await stopped.wait()
    finally:
        await azure.close()
    return GOOD


def _parser() -> argparse.ArgumentParser:
    demo = Path(__file__).with_name("demo.yaml")
    parser = argparse.ArgumentParser(
        prog="python -m exporter.simulator",
        description="A simulated Azure Resource Manager with a living fleet of scale sets.",
        allow_abbrev=False,
    )
    parser.add_argument("--fleet.file", dest="fleet_file", default=str(demo), metavar="FILE")
    parser.add_argument(
        "--web.listen-address",
        dest="listen_address",
        default="127.0.0.1:10049",
        metavar="HOST:PORT",
        help="port 0 takes a free one (default: %(default)s)",
    )
    parser.add_argument("--token", default="", help="the bearer token that is accepted")
    parser.add_argument("--token-file", default="", metavar="FILE", help="a file that holds it")
    return parser


def _refuse(message: str) -> int:
    print(f"simulator: {message}", file=sys.stderr)  # noqa: T201 - the command's answer
    return BAD_INPUT


def _say(message: str) -> None:
    print(message, flush=True)  # noqa: T201 - the command's answer


if __name__ == "__main__":
    sys.exit(main())
