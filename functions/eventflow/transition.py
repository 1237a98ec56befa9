"""The one way a service changes state: decide, and commit the change with the event that announces it.

A decision is a pure function from a row's state (None: there is no row) to a `Change`, or to nothing. `transition`
commits it in ONE conditional write, under the condition that the row is still as the decision saw it, and decides
again where it is not. That makes every step right under redelivery, concurrency and any order of arrival; and as the
event is part of the write, there is no state without its event and no event without its state.

Decisions import no AWS, and may run several times for one commit: what they need of the world is handed to them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
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
    """A row as it was read. `revision` counts its writes, from 1."""

    state: S
    revision: int


class LostRace(Exception):
    """The row is not as the decision saw it. `current` is what it is now."""

    def __init__(self, current: Stored[Any] | None) -> None:
        super().__init__("another writer was faster")
        self.current = current


class Contended(Exception):
    """A row changed under every attempt to write it. The event comes again."""


class Rows(Protocol[S]):
    """Where the states of one kind are kept."""

    def read(self, key: str) -> Stored[S] | None: ...

    def write(self, key: str, state: S, revision: int, announcement: Announcement | None) -> None:
        """Make `state` the row's `revision`-th, with its announcement. Raises LostRace if it is not."""


ATTEMPTS = 10
"""Lost races in a row before giving up. Each means that another writer got on, so a few suffice."""


def transition(
    rows: Rows[S],
    key: str,
    decide: Callable[[S | None], Change[S] | None],
    *,
    cause: Received[Fact] | None = None,
    probably_new: bool = False,
) -> S | None:
    """Commit what `decide` makes of the row, and return the state it is in afterwards.

    `decide` may run more than once. `probably_new` spares the read where the row is seldom there yet: a refused
    write brings back what is. Raises Contended, and what `decide` raises.
    """
    current = None if probably_new else rows.read(key)
    for _ in range(ATTEMPTS):
        change = decide(current.state if current else None)
        if change is None:
            return current.state if current else None
        try:
            rows.write(
                key,
                change.state,
                (current.revision if current else 0) + 1,
                announce(change.fact, cause) if change.fact else None,
            )
        except LostRace as race:
            current = race.current
        else:
            return change.state
    raise Contended(f"{key}: {ATTEMPTS} attempts to write were overtaken")
