"""The Exporter dashboard's polls, and its requests to Azure with their limits."""

from __future__ import annotations

from grafana.source import frame, shared_panels
from grafana.source.exporter_queries import NO_EXPORTER, own, quantile, rate
from grafana.source.panels import THIRD, Ask, Facts, bars, series
from grafana.source.queries import RANGE, SET, SETS
from grafana.source.states import BROKEN, LOOK

BY_REPLICA = "{{instance}}"
POLICIES = shared_panels.Policies(
    "instance, subscription_id, location, policy", "{{location}} {{policy}} {{instance}}"
)


def polls() -> frame.Section:
    """Whether polls come in time and succeed."""
    duration = SETS.value("azure_vmss_poll_duration_seconds")
    interval = SETS.value("azure_vmss_poll_interval_seconds")
    return frame.Section(
        title="Polls",
        panels=[
            series(
                Facts(
                    title="Polls by result",
                    about="Polls of instance lists a second.",
                    unit="reqps",
                    empty=NO_EXPORTER,
                    size=THIRD,
                ),
                Ask(rate("polls_total", "instance, result"), "{{result}} {{instance}}"),
            ),
            series(
                Facts(
                    title="Failed polls by reason",
                    about="Failed polls a second. Reasons that never occurred lie at 0.",
                    unit="reqps",
                    empty=NO_EXPORTER,
                    size=THIRD,
                ),
                Ask(rate("poll_failures_total", "reason"), "{{reason}}"),
            ),
            series(
                Facts(
                    title="Lag of polls over time",
                    about="The largest delay of a poll that is due and has not begun: above one "
                    "interval the exporter does not keep up.",
                    unit="s",
                    empty=NO_EXPORTER,
                    size=THIRD,
                ),
                Ask(own("poll_lag_seconds"), BY_REPLICA),
            ),
            series(
                Facts(
                    title="How long polls take",
                    about="From the first request to the swapped snapshot, over all sets.",
                    unit="s",
                    empty="No poll ended in this time range.",
                    size=THIRD,
                ),
                Ask(quantile(0.5, "poll_duration_seconds", "instance"), "half {{instance}}"),
                Ask(quantile(0.99, "poll_duration_seconds", "instance"), "99 % {{instance}}"),
            ),
            bars(
                Facts(
                    title="Slowest sets",
                    about="How long the last poll took, the ten longest.",
                    unit="s",
                    empty="No poll has ended yet.",
                    size=THIRD,
                ),
                Ask(
                    f"topk(10, max by ({SET}) ({duration}))",
                    "{{resource_group}} / {{scale_set}}",
                ),
                links=[frame.link("Open the scale set", frame.SET_OF_SERIES)],
            ),
            bars(
                Facts(
                    title="Intervals in force",
                    about="Scale sets by the interval between two of their polls. The exporter "
                    "stretches it where the budget does not suffice.",
                    unit="short",
                    empty="No scale set is polled.",
                    size=THIRD,
                ),
                Ask(
                    f'topk(20, count_values("seconds",  round(max by ({SET}) ({interval}))))',
                    "{{seconds}} s",
                ),
            ),
        ],
    )


def discovery() -> frame.Section:
    """Whether scale sets are found, and how."""
    return frame.Section(
        title="Discovery",
        panels=[
            series(
                Facts(
                    title="Scale sets by origin",
                    about="configured: the configuration lists them; discovered: an entry of "
                    "discovery has found them.",
                    unit="short",
                    empty=NO_EXPORTER,
                    size=THIRD,
                ),
                Ask(f"max by (origin) ({own('targets')})", "{{origin}}"),
            ),
            series(
                Facts(
                    title="Age of the last complete search",
                    about="By the index of the entry of discovery. A search that is not complete "
                    "finds what it can, and removes nothing.",
                    unit="s",
                    empty="The configuration has no discovery, or none was complete yet.",
                    size=THIRD,
                ),
                Ask(
                    f"max by (block) (time() - {own('discovery_last_success_timestamp_seconds')})",
                    "block {{block}}",
                ),
            ),
            series(
                Facts(
                    title="Queries of Resource Graph by result",
                    about="Pages a second. While queries fail, lists find the scale sets.",
                    unit="reqps",
                    empty=NO_EXPORTER,
                    size=THIRD,
                ),
                Ask(rate("graph_queries_total", "kind, result"), "{{kind}} {{result}}"),
            ),
        ],
    )


def azure() -> frame.Section:
    """Requests to Azure, and how much of its limits is left."""
    throttled = f"sum by ({POLICIES.labels}) (increase({own('azure_throttled_total')}[$__range]))"
    until = own("azure_throttled_until_timestamp_seconds")
    remaining = own("azure_ratelimit_remaining")
    used = own("budget_used_ratio")
    return frame.Section(
        title="Azure",
        panels=[
            series(
                Facts(
                    title="Requests to Azure by status",
                    about="Requests a second by operation and HTTP status; error where no answer "
                    "came.",
                    unit="reqps",
                    empty=NO_EXPORTER,
                    size=(12, 8),
                ),
                Ask(rate("azure_requests_total", "operation, code"), "{{operation}} {{code}}"),
            ),
            series(
                Facts(
                    title="How long requests take",
                    about="By operation, the body included.",
                    unit="s",
                    empty="No request ended in this time range.",
                    size=(12, 8),
                ),
                Ask(
                    quantile(0.5, "azure_request_duration_seconds", "operation"),
                    "half {{operation}}",
                ),
                Ask(
                    quantile(0.99, "azure_request_duration_seconds", "operation"),
                    "99 % {{operation}}",
                ),
            ),
            shared_panels.budget_in_use(
                "Budget in use over time",
                "Calls charged in the last minute, as a part of what the exporter may "
                "use of the limit. The ten largest budgets.",
                used,
                f"max_over_time({used}{RANGE})",
                POLICIES,
            ),
            shared_panels.what_remains(
                "The last header of each policy. It is never reset by a read: a flat "
                "line may be an old answer. The ten smallest.",
                remaining,
                f"min_over_time({remaining}{RANGE})",
                POLICIES,
            ),
            bars(
                Facts(
                    title="Throttled by Azure, in the time range",
                    about="Answers with HTTP 429 by policy.",
                    unit="short",
                    empty="Azure throttled nothing in this time range.",
                    size=(12, 6),
                ),
                Ask(f"topk(10, {throttled} > 0)", "{{location}} {{policy}} {{instance}}"),
                limits=((0, BROKEN),),
            ),
            bars(
                Facts(
                    title="Waiting because Azure asked for it",
                    about="How long the exporter still makes no call, by policy.",
                    unit="s",
                    empty="No policy waits.",
                    size=(12, 6),
                ),
                Ask(f"topk(10, {until} - time() > 0)", "{{location}} {{policy}} {{instance}}"),
                limits=((0, LOOK),),
            ),
        ],
    )
