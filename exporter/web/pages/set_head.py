"""What stands at the top of a set's page, and on those of its instances."""

from __future__ import annotations

from dataclasses import dataclass

from exporter.model.scale_set import short_region
from exporter.polling.target_state import TargetState
from exporter.web.pages import links
from exporter.web.pages.advice import advice_for
from exporter.web.pages.fleet_rows import mode_of, shown_tags
from exporter.web.pages.site import PagesSite
from exporter.web.pages.texts import Since, duration, label, shown


@dataclass(frozen=True, slots=True)
class Failure:
    """Why the last poll failed: the reason, Azure's message if it may be shown, what to do."""

    reason: str
    message: str
    advice: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SetHead:
    """A set in short; all texts may be shown."""

    name: str
    group: str
    subscription: str
    page: str
    json: str
    updated: Since | None
    interval: str
    mode: str
    region: str
    facts: list[tuple[str, str]]
    tags: list[str]
    failure: Failure | None
    model_failure: str
    suppressed: bool
    has_data: bool


def set_head(site: PagesSite, state: TargetState) -> SetHead:
    """What is known of a set."""
    scale_set, poll, data = state.target.scale_set, state.data.poll, state.data
    live = data.live_model(site.clock.monotonic())
    model = live.model if live else None
    now = site.clock.now()
    failure = None
    if poll.reason:
        message = shown(poll.message) if site.messages else ""
        failure = Failure(poll.reason, message, advice_for(poll.reason))
    facts: list[tuple[str, str]] = []
    if model:
        facts = [
            ("Size", label(model.sku)),
            ("Capacity asked for", "" if model.capacity is None else str(model.capacity)),
            ("Upgrade policy", label(model.upgrade_policy)),
            ("Priority", label(model.priority)),
            ("Eviction policy", label(model.eviction_policy)),
            ("Provisioning state", label(model.provisioning_state)),
        ]
    return SetHead(
        name=label(scale_set.name),
        group=label(scale_set.resource_group),
        subscription=label(scale_set.subscription_id),
        page=links.page_of(scale_set),
        json=links.json_of(scale_set),
        updated=Since.of(poll.last_success, now),
        interval=duration(poll.interval),
        mode=mode_of(state),
        region=label(short_region(model.location)) if model else "",
        facts=[(name, value) for name, value in facts if value],
        tags=[label(f"{name}={value}") for name, value in shown_tags(model, site.tags)],
        failure=failure,
        model_failure=shown(data.model_message) if data.model_message and site.messages else "",
        suppressed=poll.suppressed,
        has_data=data.snapshot is not None,
    )
