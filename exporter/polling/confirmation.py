"""Which answers are not believed the first time, because they would take good data away."""

from __future__ import annotations

from dataclasses import dataclass

from exporter.azure.errors import AzureError, BrokenAnswer, NotFound

NOT_FOUND_ANSWERS = 3
"""Answers in a row that the set does not exist before its data are removed."""

NOT_FOUND_SECONDS = 300.0
"""Seconds from the first of these answers to the one that removes the data."""


ADVICE = "wait for the next poll: it is served if Azure answers the same again"


@dataclass(slots=True)
class Confirmation:
    """The answers in a row that would remove a set's instances.

    Attributes:
        not_found: answers that the set or its resource group does not exist.
        not_found_since: the monotonic time of the first of them.
        doubted: whether the last list was not believed, or confirmed one that was not: the next
            one of that kind is believed.
    """

    not_found: int = 0
    not_found_since: float = 0.0
    doubted: bool = False
    _refused: bool = False

    def check(
        self, *, instances: int, lost: int, capacity: int | None, last_walk: int | None
    ) -> None:
        """Check a list that was read to its end.

        Args:
            instances: the instances that were read.
            lost: the items that could not be read.
            capacity: how many instances the set should have; None if that is not known.
            last_walk: how many the last list had that was believed; None before the first.

        Raises:
            BrokenAnswer: another answer must confirm this one.
        """
        if instances or self.doubted:
            return
        if lost:
            message = f"none of the {lost} items of the list can be read"
        elif capacity and last_walk:
            message = (
                f"the list is empty, though the capacity is {capacity} and the last list had "
                f"{last_walk} instances"
            )
        else:
            return
        self._refused = True
        error = BrokenAnswer(message)
        error.advice = ADVICE
        raise error

    def succeeded(self, *, instances: int) -> None:
        """Note a list that was served, and how many instances it had."""
        self.not_found = 0
        self.doubted = self.doubted and not instances

    def failed(self, error: AzureError | None, now: float) -> bool:
        """Note a failed poll; whether the set's data are to be removed.

        Args:
            error: why it failed; None for a fault of the exporter.
            now: the monotonic time.
        """
        self.doubted, self._refused = self._refused, False
        if not isinstance(error, NotFound) or not error.removes:
            self.not_found = 0
            return False
        if not self.not_found:
            self.not_found_since = now
        self.not_found += 1
        return (
            self.not_found >= NOT_FOUND_ANSWERS and now - self.not_found_since >= NOT_FOUND_SECONDS
        )
