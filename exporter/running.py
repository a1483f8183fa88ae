"""A start: the daemon, `--once` or the demo, and the errors that prevent it."""

from __future__ import annotations

import argparse
import asyncio
import platform
from functools import partial

import exporter
from exporter import daemon, demo, once
from exporter.auto_reload import Watched
from exporter.checking import print_problems
from exporter.configuration import ConfigurationError
from exporter.configuration_file import of_subscriptions, read_configuration
from exporter.printing import print_error
from exporter.runtime import logs
from exporter.runtime.rate_limited_log import write_out_all
from exporter.runtime.signals import Signals
from exporter.web.scrapes import MAX_REQUESTS

BAD_INPUT = 2


def start(flags: argparse.Namespace, signals: Signals) -> int:
    """Run until the end; the result is the exit code.

    Args:
        flags: those of `exporter.flags`.
    """
    # `--once` may wait for the reader of its log; the daemon never does.
    logs.configure(
        level=flags.log_level, form=flags.log_format, queued=not (flags.once or flags.estimate)
    )
    try:
        try:
            return asyncio.run(_start(flags, signals))
        finally:
            write_out_all()
            # Before the messages below, and a traceback.
            logs.flush()
    except ConfigurationError as error:
        print_problems(flags.config_file, error)
        return BAD_INPUT
    except daemon.StartError as error:
        print_error(f"azure-vmss-exporter: {error}")
        return BAD_INPUT
    except KeyboardInterrupt:
        return signals.unfinished


async def _start(flags: argparse.Namespace, signals: Signals) -> int:
    options = daemon.Options(
        listen=flags.listen_addresses,
        telemetry_path=flags.telemetry_path,
        max_requests=MAX_REQUESTS if flags.max_requests is None else flags.max_requests,
        lifecycle=flags.lifecycle,
        auto_reload=(
            Watched(flags.config_file, flags.auto_reload_interval) if flags.auto_reload else None
        ),
        version=exporter.__version__,
        python_version=platform.python_version(),
    )
    if flags.demo:
        return await demo.run(options, signals=signals, poll_once=flags.once)
    read = (
        partial(of_subscriptions, flags.subscriptions)
        if flags.subscriptions
        else partial(read_configuration, flags.config_file)
    )
    configuration, text = read()
    if flags.estimate:
        return await once.run_estimate(configuration, text, options)
    if flags.once:
        return await once.run_once(configuration, text, options)
    return await daemon.run(configuration, text, options, signals=signals, read=read)
