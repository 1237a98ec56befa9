"""Names of runs, by which anyone runs them again: `an_order_is_confirmed`, `...:14=7,20=1` (departures), `day-42`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

from .choices import Choices, RandomChoices
from .scenarios import ALL, Scenario, a_day_at_random

FAULTS = (0.01, 0.03, 0.1)
"""How likely a departure is at each call, of one day after the other."""
ORDER = (0.1, 0.5)
"""How likely something else goes first."""

ORDERS_A_DAY = 8

DAY = re.compile(r"(\w+-)?day-\d+")


@dataclass(frozen=True)
class Schedule:
    """Of a scenario with these departures from good behaviour; or of a day at random, by its seed."""

    scenario: str
    departures: tuple[tuple[int, int], ...] | None = ()
    """None: by chance."""

    @classmethod
    def read(cls, name: str) -> Schedule:
        """Raises ValueError."""
        scenario, _, text = name.partition(":")
        departures = tuple(tuple(map(int, each.split("="))) for each in text.split(",") if each)
        is_day = DAY.fullmatch(scenario)
        if not (is_day or scenario in ALL) or any(len(each) != 2 for each in departures):
            raise ValueError(
                f"no schedule is named {name}; scenarios are {', '.join(ALL)}, and day-<number>, <seed>-day-<number>"
            )
        return cls(scenario, None if is_day and not text else departures)  # type: ignore[arg-type]

    def __str__(self) -> str:
        departures = ",".join(f"{number}={option}" for number, option in self.departures or ())
        return f"{self.scenario}:{departures}" if departures else self.scenario

    def people(self) -> Scenario:
        return ALL.get(self.scenario) or a_day_at_random(self.scenario, ORDERS_A_DAY)

    def choices(self) -> Choices:
        if self.departures is None:
            number = int(self.scenario.rpartition("-")[2])
            return RandomChoices(self.scenario, FAULTS[number % len(FAULTS)], ORDER[number % len(ORDER)])
        return Choices(dict(self.departures))


def days(seed: str = "", first: int = 0) -> Iterator[Schedule]:
    """Days at random, of a series that the seed names."""
    return (Schedule(f"{seed}-day-{number}" if seed else f"day-{number}", None) for number in count(first))
