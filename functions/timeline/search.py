"""Which sagas a list shows: what was asked for, and whether a saga's summary answers to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec

from timeline.paths import variant_key
from timeline.sagas import Ending, Event, PathStep, Status, Summary, Vocabulary, path_of

Prefix = Annotated[str, msgspec.Meta(min_length=6, max_length=256)]
"""What an id begins with. (`Summary.path` holds six characters of an event's id.)"""

Milliseconds = Annotated[int, msgspec.Meta(ge=0)]


class Wanted(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """The query of `GET /timelines`, but for the span of time and the page. All of it must hold."""

    status: Status | None = None
    """`open` includes those that are stuck."""
    ending: Ending | None = None
    type: str | None = None
    """An event type that the saga has."""
    last_type: str | None = None
    service: str | None = None
    """A lane that it has."""
    slower_than: Milliseconds | None = None
    faster_than: Milliseconds | None = None
    variant: str | None = None
    """The key of its path (`flow`)."""
    edge: str | None = None
    """`<type>><type>`: the first led to the second."""

    @property
    def is_open(self) -> bool | None:
        """Whether only sagas that are open, or only others, can answer to it."""
        if self.ending:
            return self.ending in (Ending.OPEN, Ending.STUCK)
        return None if self.status is None else self.status is not Status.DONE

    @property
    def is_stuck(self) -> bool:
        return Status.STUCK is self.status or Ending.STUCK is self.ending

    def holds(self, summary: Summary, vocabulary: Vocabulary, now: int, stuck_after: int) -> bool:
        """Whether a saga is wanted. Of one that has more than 24 steps, only the first and the last are known."""
        stands = summary.stands(now, stuck_after)
        path = path_of(summary, vocabulary) if self.type or self.service or self.variant or self.edge else []
        duration = summary.duration(now)
        return (
            (self.status is None or (self.status is Status.DONE) == (summary.ending is not None))
            and (not self.is_stuck or stands is Ending.STUCK)
            and (self.ending is None or self.ending is stands)
            and (self.last_type is None or self.last_type == summary.last_type)
            and (self.slower_than is None or duration > self.slower_than)
            and (self.faster_than is None or duration < self.faster_than)
            and (self.type is None or self.type in {summary.last_type, *(step.type for step in path)})
            and (self.service is None or any(step.lane == self.service for step in path))
            and (self.variant is None or variant_key(path) == self.variant)
            and (self.edge is None or self.edge in _edges(path))
        )


def _edges(path: Sequence[PathStep]) -> set[str]:
    return {f"{path[cause].type}>{step.type}" for step in path for cause in step.causes}


class Found(msgspec.Struct, frozen=True):
    """What the ids of a saga are looked through for."""

    prefix: Prefix

    @property
    def _trace(self) -> str:
        """As W3C spells it: X-Ray puts a version before it and a hyphen into it."""
        return self.prefix.removeprefix("1-").replace("-", "")

    def is_id_of(self, summary: Summary) -> bool:
        """Whether its own id, or its trace's, begins so."""
        of_trace = len(self._trace) >= 6 and (summary.trace_id or "").startswith(self._trace)
        return summary.id.startswith(self.prefix) or of_trace

    def may_be_event_of(self, summary: Summary, vocabulary: Vocabulary) -> bool:
        """Whether one of its events may have such an id; `is_event` tells."""
        return any(step.short_id == self.prefix[:6] for step in path_of(summary, vocabulary))

    def is_event(self, events: Sequence[Event]) -> bool:
        return any(event.event_id.startswith(self.prefix) for event in events)
