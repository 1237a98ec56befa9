"""What the world decides, and in which order it was decided: a schedule can be run again, changed, and cut down."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Choice:
    """Of these options this one was taken; the first is what a well-behaved world does."""

    options: Sequence[str]
    taken: int


class Choices:
    """Good behaviour, but for departures: option by number of the choice."""

    def __init__(self, departures: Mapping[int, int] | None = None) -> None:
        self._departures = dict(departures or {})
        self.made: list[Choice] = []
        self.calm = False
        """From now on the world behaves."""

    def take(self, options: Sequence[str]) -> int:
        """The number of the option that is taken. One option is no choice."""
        if len(options) < 2 or self.calm:
            return 0
        taken = self._decide(len(self.made), options)
        self.made.append(Choice(options, taken))
        return taken

    def _decide(self, number: int, options: Sequence[str]) -> int:
        return self._departures.get(number, 0) % len(options)

    @property
    def departures(self) -> dict[int, int]:
        """What makes this run again, as long as nothing else changes."""
        return {number: choice.taken for number, choice in enumerate(self.made) if choice.taken}


class RandomChoices(Choices):
    """Departs with this probability, by a seed. What delivers in another order is taken `orders` times as often."""

    def __init__(self, seed: int | str, faults: float, order: float) -> None:
        super().__init__()
        self._random = random.Random(seed)
        self._faults, self._order = faults, order

    def _decide(self, number: int, options: Sequence[str]) -> int:
        likely = self._order if options[0].startswith("next: ") else self._faults
        if self._random.random() >= likely:
            return 0
        return self._random.randrange(1, len(options))
