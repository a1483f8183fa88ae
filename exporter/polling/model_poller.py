"""Polls the scale set models: capacity, region, mode and tags, by a GET or from a list of sets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import structlog

from exporter.azure.errors import AzureError, NoAnswer, NotSent
from exporter.azure.ratelimit.usage import Reservation
from exporter.metrics.field_families import family_of
from exporter.metrics.mapper import Mapper
from exporter.model.instance_view import Problem
from exporter.model.poll import PollState
from exporter.model.scale_set import ScaleSetModel
from exporter.polling.outage import INTERNAL, describe
from exporter.polling.publisher import Publisher
from exporter.polling.retention import Retention
from exporter.polling.source import Sources, TargetStore
from exporter.polling.target_state import (
    MODEL_INTERVAL,
    ModelSnapshot,
    TargetData,
    TargetState,
)
from exporter.polling.targets import Observer
from exporter.runtime.clock import Clock
from exporter.telemetry import Telemetry

LISTED_FOR = 1.5 * MODEL_INTERVAL
"""Seconds after which a model that a list has told is read by a GET."""

_log = structlog.get_logger(__name__)


class ModelPoller(Observer):
    """The part of the poller that is about the models; takes what the poller takes."""

    def __init__(
        self,
        *,
        sources: Sources,
        mapper: Mapper,
        publisher: Publisher,
        telemetry: Telemetry,
        clock: Clock,
        retention: Retention,
        store: TargetStore | None,
    ) -> None:
        self._sources = sources
        self._mapper = mapper
        self._publisher = publisher
        self._telemetry = telemetry
        self._clock = clock
        self._retention = retention
        self._store = store
        self._found: Mapping[tuple[str, str, str], ScaleSetModel] = {}

    def set_model_interval(self, state: TargetState, interval: float) -> None:
        """Keep the model as the seconds between two GETs ask that are in force."""
        data = state.data
        model = data.live_model(self._clock.monotonic())
        if model and interval != data.model_interval:
            data.model = self._retention.prolonged(model, interval)
            self._publisher.publish(state)
        data.model_interval = interval

    async def poll_model(
        self, state: TargetState, reservation: Reservation | None = None
    ) -> NoAnswer | None:
        """Get the scale set model of one target; a failure leaves the old one and is logged once.

        Returns as `poll` does.
        """
        scale_set, data = state.target.scale_set, state.data
        source = self._sources[state.target.credential]
        try:
            model, problems = await source.scale_set_model(
                scale_set, location=state.location, reservation=reservation
            )
        except NotSent as not_sent:
            return not_sent
        except AzureError as error:
            if state.data is data:
                self._model_failed(state, error)
            return error
        except Exception:  # noqa: BLE001 - as in poll: a fault in one set's model ends no other
            if data.model_reason != INTERNAL:
                _log.exception("scale set model poll crashed", scale_set=str(scale_set))
            if state.data is data:
                self._model_failed(state, None)
            return None
        if state.data is not data:
            return None
        self._model_succeeded(state, model, problems)
        return None

    def models_found(self, models: Mapping[tuple[str, str, str], ScaleSetModel]) -> None:
        """Take the models of targets that are about to be added, by their key.

        They need no GET then, not even their first.
        """
        self._found = models

    def added(self, state: TargetState) -> None:
        """Begin with what a list of scale sets has told of the target."""
        if (model := self._found.get(state.target.scale_set.key)) is not None:
            self._model_succeeded(state, model, ())

    def model_found(self, state: TargetState, model: ScaleSetModel) -> None:
        """Take the model of a target from a list of scale sets, as that of a GET."""
        self._model_succeeded(state, model, ())

    def model_is_due(self, state: TargetState) -> bool:
        """Whether the model is to be read: no list of scale sets has told it lately."""
        model = state.data.model
        return (
            state.target.origin == "configured"
            or model is None
            or self._clock.monotonic() - model.since > LISTED_FOR
        )

    def _model_succeeded(
        self, state: TargetState, model: ScaleSetModel, problems: Iterable[Problem]
    ) -> None:
        scale_set, data = str(state.target.scale_set), state.data
        if data.model_reason is not None:
            _log.info("scale set model recovered", scale_set=scale_set)
        data.model_reason = data.model_message = None
        for problem in problems:
            family = family_of(problem.path, of_scale_set=True)
            self._telemetry.counter("mapping_errors_total", family=family).inc()
        if data.model and data.model.model.is_flexible != model.is_flexible:
            mode = model.orchestration_mode or "Uniform"
            _log.info("orchestration mode changed", scale_set=scale_set, mode=mode)
        if model.orchestration_mode:
            # Old api-versions tell none: what the list has shown stays then.
            data.listed_as_flexible = False
        if data.model and data.model.model == model:
            model = data.model.model  # Its lines need not be rendered again.
        data.model = self._model_snapshot(data, model, self._clock.monotonic())
        self._publish(state, replace(data.poll, model_last_success=self._clock.now()))
        self._save(state)

    def _model_failed(self, state: TargetState, error: AzureError | None) -> None:
        data = state.data
        reason, data.model_message, logged = describe(error, messages=self._mapper.messages)
        # While the polls fail too, they are logged: one outage is one line.
        if data.poll.up and reason != data.model_reason:
            data.model_reason = reason
            _log.warning(
                "scale set model failing",
                scale_set=str(state.target.scale_set),
                reason=reason,
                error=logged,
            )

    def _model_snapshot(
        self, data: TargetData, model: ScaleSetModel, since: float
    ) -> ModelSnapshot:
        until = since + self._retention.seconds(data.model_interval)
        return ModelSnapshot(model=model, since=since, served_until=until)

    def _save(self, state: TargetState) -> None:
        if self._store is not None:
            self._store.save(state)

    def _publish(self, state: TargetState, poll: PollState) -> None:
        state.data.poll = poll
        self._publisher.publish(state)
