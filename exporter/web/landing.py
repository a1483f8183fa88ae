"""The page at `/`: every scale set and the state of its polls."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from exporter.polling.target_state import TargetState
from exporter.polling.targets import Targets
from exporter.web.headers import policy_with_style, style_element

_STYLE = """body { font-family: sans-serif; margin: 2em }
td, th { text-align: left; padding: 0.2em 1em 0.2em 0 }"""

POLICY = policy_with_style(_STYLE)
"""The `Content-Security-Policy` that allows the page its own style sheet, and nothing else."""


def landing_page(targets: Targets, *, version: str, telemetry_path: str) -> Iterator[bytes]:
    """The page in chunks: a row at a time, for there may be thousands.

    Args:
        targets: the scale sets that are polled.
    """
    begin = _BEGIN.format(
        style=style_element(_STYLE),
        version=escape(version),
        metrics=escape(telemetry_path),
        count=len(targets),
    )
    yield begin.encode()
    for state in targets:
        yield _row(state).encode()
    yield _END


def _row(state: TargetState) -> str:
    scale_set = state.target.scale_set
    data = state.data
    path = f"{scale_set.subscription_id}/{scale_set.resource_group}/{scale_set.name}"
    polls = "up" if data.poll.up else (data.poll.reason or "not polled yet")
    instances = data.snapshot.mapped.instances if data.snapshot else ""
    return (
        f'<tr><td><a href="api/v1/scale_sets/{escape(path)}">{escape(scale_set.name)}</a></td>'
        f"<td>{escape(scale_set.resource_group)}</td><td>{escape(polls)}</td>"
        f"<td>{instances}</td></tr>\n"
    )


_BEGIN = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>azure-vmss-exporter</title>
{style}</head>
<body>
<h1>azure-vmss-exporter</h1>
<p>Version {version}. State of every VM in {count} Azure virtual machine scale sets.</p>
<p><a href="{metrics}">Metrics</a> · <a href="-/healthy">Health</a> ·
<a href="-/ready">Readiness</a></p>
<table>
<tr><th>Scale set</th><th>Resource group</th><th>State</th><th>Instances</th></tr>
"""

_END = b"""</table>
</body>
</html>
"""
