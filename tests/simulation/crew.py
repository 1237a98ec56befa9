"""Many schedules on all processors. What each worker finds is added up."""

from __future__ import annotations

import os
import signal
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from ..sam_template import ROOT
from . import cloud
from .clock import Clock, in_charge
from .explore import Run, Simulator
from .schedules import Schedule
from .shapes import shape_of

AHEAD = 8
BATCH = 5
"""Schedules that a worker is given at once."""


@dataclass(frozen=True)
class Broken:
    schedule: Schedule
    wrong: tuple[str, ...]


@dataclass
class Findings:
    """Of some schedules."""

    schedules: int = 0
    calls: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """(function, call, fate)."""
    used: set[tuple[str, str, str]] = field(default_factory=set)
    """(function, action, resource)."""
    orders: int = 0
    broken: list[Broken] = field(default_factory=list)
    sum: int = 0
    """Of the digests of all runs, no matter which worker made which."""
    reached: dict[tuple[str, str], tuple[Schedule, int]] = field(default_factory=dict)
    """Where each call of a function can be struck: a schedule, and the number of the choice of its fate."""
    shapes: dict[tuple[str, str], Schedule] = field(default_factory=dict)
    """Of the schedules of a scenario that cannot differ, the one that departs first: it leaves the most to choose."""

    def __iadd__(self, other: Findings) -> Findings:
        self.schedules += other.schedules
        self.calls += other.calls
        self.used |= other.used
        self.orders += other.orders
        self.broken += other.broken
        self.sum = (self.sum + other.sum) % 2**64
        for call, place in other.reached.items():
            self._reach(call, place)
        for shape, schedule in other.shapes.items():
            self._add(shape, schedule)
        return self

    @property
    def digest(self) -> str:
        """The same, where each run was the same to the last call."""
        return f"{self.sum:016x}"

    def _add(self, shape: tuple[str, str], schedule: Schedule) -> None:
        there = self.shapes.get(shape)
        if there is None or schedule.departures < there.departures:  # type: ignore[operator]
            self.shapes[shape] = schedule

    def _reach(self, call: tuple[str, str], place: tuple[Schedule, int]) -> None:
        """The same place, no matter which worker came first: what is done next depends on it."""
        self.reached[call] = min(place, self.reached.get(call, place), key=str)

    def note(self, schedule: Schedule, run: Run) -> None:
        """A run of a scenario: its shape, and where its calls can be struck."""
        self._add((schedule.scenario, shape_of(run.world.steps)), schedule)
        for number, choice in enumerate(run.world.choices.made):
            function, _, rest = choice.options[0].partition(": ")
            if rest.endswith(": done"):
                self._reach((function, rest.removesuffix(": done")), (schedule, number))


@dataclass
class _Worker:
    """One of a process."""

    simulator: Simulator | None = None
    ours: AbstractContextManager[None] | None = None
    """Keeps time and chance in the simulator's hands."""


_worker = _Worker()


def _begin(source: Path) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one who gives out the work
    clock = Clock()
    _worker.simulator = Simulator(cloud.main(), clock, source)
    _worker.ours = in_charge(clock)
    _worker.ours.__enter__()


def simulate(schedules: Sequence[Schedule], until_broken: bool = False) -> Findings:
    """In a worker. The first that breaks a rule by chance is cut down, unless all that is asked is whether one does."""
    assert _worker.simulator
    found = Findings()
    for schedule in schedules:
        run = _worker.simulator.run(schedule.people(), schedule.choices(), schedule.scenario)
        found.schedules += 1
        found.sum = (found.sum + int.from_bytes(run.world.digest.digest()[:8])) % 2**64
        found.calls += run.world.calls
        found.used |= run.world.used
        found.orders += len(run.world.dynamodb.rows["OrdersTable"])
        if run.wrong:
            named = schedule
            if schedule.departures is None and not (found.broken or until_broken):
                departures = run.world.choices.departures
                shorter = _worker.simulator.shortened(schedule.people(), departures, schedule.scenario)
                named = Schedule(schedule.scenario, tuple(shorter.items()))
            found.broken.append(Broken(named, tuple(run.wrong)))
            if until_broken:
                return found
        if schedule.departures is not None:
            found.note(schedule, run)
    return found


class Crew:
    """Workers, one for each processor. `tell` is told how many schedules are done."""

    def __init__(self, source: Path = ROOT / "functions", tell: Callable[[int], None] = lambda done: None) -> None:
        self._pool = ProcessPoolExecutor(os.cpu_count(), initializer=_begin, initargs=(source,))
        self._tell = tell
        self.done = 0

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def work(self, schedules: Iterable[Schedule], until_broken: bool = False) -> Findings:
        found = Findings()
        for some in self.in_order(schedules, until_broken):
            found += some
            if until_broken and found.broken:
                break
        return found

    def in_order(self, schedules: Iterable[Schedule], until_broken: bool = False) -> Iterator[Findings]:
        """Of a few schedules after the other, while the workers are busy with the next ones."""
        waiting: deque[Future[Findings]] = deque()
        left = iter(schedules)
        most = 4 * (os.cpu_count() or 1)
        while True:
            while len(waiting) < most and (batch := list(islice(left, BATCH))):
                waiting.append(self._pool.submit(simulate, batch, until_broken))
            if not waiting:
                return
            found = waiting.popleft().result()
            self.done += found.schedules
            self._tell(self.done)
            yield found

    def departing(self, schedules: Iterable[Schedule]) -> Iterator[Schedule]:
        """Each of these schedules with one departure more, after those that it has."""
        left = iter(schedules)
        asked: deque[tuple[Schedule, Future[list[tuple[int, int]]]]] = deque()
        while True:
            # some are asked for ahead: what is in the pool already is done first
            asked += [(each, self._pool.submit(choices_of, each)) for each in islice(left, AHEAD - len(asked))]
            if not asked:
                return
            schedule, choices = asked.popleft()
            for number, options in choices.result():
                for option in range(1, options):
                    yield Schedule(schedule.scenario, (*(schedule.departures or ()), (number, option)))


def choices_of(schedule: Schedule) -> list[tuple[int, int]]:
    """In a worker: each choice that comes after the schedule's last departure, and how many options it has."""
    assert _worker.simulator
    run = _worker.simulator.run(schedule.people(), schedule.choices(), schedule.scenario)
    last = max((number for number, _ in schedule.departures or ()), default=-1)
    return [(number, len(it.options)) for number, it in enumerate(run.world.choices.made) if number > last]
