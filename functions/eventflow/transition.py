"""The one way a service changes state: decide, and commit the change with the event that announces it.

A decision is a pure function from a row's state (None: there is no row) to a `Change`, or to nothing. `transition`
commits it in ONE conditional write, under the condition that the row is still as the decision saw it, and decides
again where it is not. That makes every step right under redelivery, concurrency and any order of arrival; and as the
event is part of the write, there is no state without its event and no event without its state.

Decisions import no AWS, and may run several times for one commit: what they need of the world is handed to them.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic, sleep
from typing import Any, Generic, Protocol, TypeVar

from eventflow.contracts import Fact, Received
from eventflow.outbox import Announcement, announce

S = TypeVar("S")


@dataclass(frozen=True)
class Change(Generic[S]):
    """The row's next state, and the fact that it announces, if any."""

    state: S
    fact: Fact | None = None


@dataclass(frozen=True)
class Stored(Generic[S]):
    """A row as it was read. `revision` counts its writes, from 1; `event_id` is that of the event it carries."""

    state: S
    revision: int
    event_id: str | None = None


class LostRace(Exception):
    """The row is not as the decision saw it. `current` is what it is now."""

    def __init__(self, current: Stored[Any] | None) -> None:
        super().__init__("another writer was faster")
        self.current = current


class Busy(Exception):
    """A transaction has the row in hand at this moment. Nothing was written, or it will be found there."""


class Contended(Exception):
    """A row changed under every attempt to write it, for PATIENCE. Nothing was written; it may be tried again."""


class Rows(Protocol[S]):
    """Where the states of one kind are kept."""

    def read(self, key: str) -> Stored[S] | None: ...

    def write(self, key: str, state: S, revision: int, announcement: Announcement | None) -> None:
        """Make `state` the row's `revision`-th, with its announcement. Raises LostRace if it is not, and Busy.

        A write that was made and then refused, because its answer was lost and the SDK repeated it, counts as made: the
        row has its event. (One that announces nothing is decided again, and finds that nothing is left to do.)
        """


PATIENCE = 8.0
"""Seconds until a row that others change all the time is given up: a function has 15, and an API call 29."""

SHORTEST_PAUSE, LONGEST_PAUSE = 0.05, 1.0
"""Seconds: the most of a first pause, and of any. The most doubles each time, and the pause is drawn at random:
https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/"""


def transition(
    rows: Rows[S],
    key: str,
    decide: Callable[[S | None], Change[S] | None],
    *,
    cause: Received[Fact] | None = None,
    probably_new: bool = False,
) -> S | None:
    """Commit what `decide` makes of the row, and return the state it is in afterwards.

    `decide` may run more than once. `probably_new` saves the read where the row is rarely there yet: a refused
    write brings back what is. Raises Contended, and what `decide` raises.
    """
    patience, raced = Patience(key), False
    current = None if probably_new else rows.read(key)
    while True:
        change = decide(current.state if current else None)
        if change is None:
            return current.state if current else None
        revision = (current.revision if current else 0) + 1
        try:
            rows.write(key, change.state, revision, announce(change.fact, cause) if change.fact else None)
            return change.state
        except LostRace as race:
            current = race.current
            if not raced:
                raced = True
                continue  # mostly there is one other writer, who is through, and this is the row as it left it
        except Busy:
            pass
        patience.wait()
        current = rows.read(key)


class Remembered(Generic[S]):
    """`Rows` that need not be read again by who has just written them: a write says what the row is now.

    Another writer since then is noticed as always: by the condition of the next write, which brings the row back.
    """

    def __init__(self, rows: Rows[S]) -> None:
        self._rows = rows
        self._written: dict[str, Stored[S]] = {}

    def read(self, key: str) -> Stored[S] | None:
        return self._written.pop(key, None) or self._rows.read(key)

    def write(self, key: str, state: S, revision: int, announcement: Announcement | None) -> None:
        """As `Rows.write`."""
        self._rows.write(key, state, revision, announcement)
        self._written[key] = Stored(state, revision, announcement.id if announcement else None)


class Patience:
    """Waits between attempts, so that writers who refuse each other get through one after the other."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._waits = 0
        self._until = monotonic() + PATIENCE

    def wait(self) -> None:
        """Pause before the next attempt. Raises Contended where there is no time for one."""
        pause = random.uniform(0, min(LONGEST_PAUSE, SHORTEST_PAUSE * 2**self._waits))
        self._waits += 1
        if monotonic() + pause > self._until:
            raise Contended(f"others change {self._key} all the time: try again")
        sleep(pause)
