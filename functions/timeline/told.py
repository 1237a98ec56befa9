"""What GET /flow answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated

import msgspec

from timeline.sagas import Ending, Role, SagaId


class Told(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A part of the answer of GET /flow. Durations are milliseconds, times ISO-8601, shares from 0 to 1."""


Lane = Annotated[str, msgspec.Meta(description="The service that announced it.")]
Type = Annotated[str, msgspec.Meta(description="The event's detail-type.")]
Count = Annotated[int, msgspec.Meta(description="How many sagas.")]
Share = Annotated[float, msgspec.Meta(description="The part of the window's sagas, from 0 to 1.")]
Median = Annotated[int, msgspec.Meta(description="The median, in milliseconds.")]
P95 = Annotated[int, msgspec.Meta(description="What 95 of 100 do not exceed, in milliseconds.")]
P99 = Annotated[int, msgspec.Meta(description="What 99 of 100 do not exceed, in milliseconds.")]
Key = Annotated[str, msgspec.Meta(description="The key of a path: ten hexadecimal digits.")]
From = Annotated[str, msgspec.Meta(description="The cause, as `lane/type`.")]
To = Annotated[str, msgspec.Meta(description="The effect, as `lane/type`.")]
Endings = Annotated[Mapping[Ending, int], msgspec.Meta(description="How many sagas there are of each ending.")]


class Durations(Told, frozen=True, kw_only=True):
    """How long sagas took."""

    p50: Median
    p95: P95
    p99: P99
    max: int
    """The longest, in milliseconds."""


class Bar(Told, frozen=True, kw_only=True):
    """Of the histogram: how many sagas took so long."""

    start: int = msgspec.field(name="from")
    """At least, in milliseconds."""
    end: int | None = msgspec.field(name="to", default=None)
    """Less than, in milliseconds; the last bar has no end."""
    count: Count


class Bucket(Told, frozen=True, kw_only=True):
    """How the sagas ended that started in the `bucketMs` from here on."""

    minute: str
    """When it begins."""
    endings: Endings


class NodeTold(Told, frozen=True, kw_only=True):
    """A place on the map: an event of a service."""

    lane: Lane
    type: Type
    role: Role
    """What it means for a saga."""
    count: int
    """In how many sagas it occurs."""
    share: Share
    stops: int
    """Of how many open or stuck sagas it is the last event."""
    column: int
    """How many steps from a beginning, by the longest way."""


class EdgeTold(Told, frozen=True, kw_only=True):
    """One event led to another; how long that took, over all its occurrences."""

    start: From = msgspec.field(name="from")
    end: To = msgspec.field(name="to")
    count: Count
    share: Share
    p50: Median
    p95: P95


class PathNode(Told, frozen=True, kw_only=True):
    """A step of a path."""

    lane: Lane
    type: Type
    causes: Sequence[int]
    """Which steps led to it, by their place in the path."""


class Variant(Told, frozen=True, kw_only=True):
    """A distinct path. Percentiles are over its sagas that ended."""

    key: Key
    steps: Sequence[PathNode]
    """The path's events, causes before effects."""
    ending: Ending
    """What most of its sagas have come to: of one path, some may be open or stuck."""
    count: Count
    share: Share
    p50: Median | None = None
    p95: P95 | None = None
    p99: P99 | None = None
    slow: int
    """How many of the sagas that ended took longer than its p99."""
    examples: Sequence[SagaId]
    """Its newest sagas, 3 at most."""


class Why(StrEnum):
    RARE = "rare"
    """Its path is that of less than `flow.RARE_PER_CENT` of the sagas. An open one is not judged: it is under way."""
    SLOW = "slow"
    """It took longer than the p99 of its path."""


class Unusual(Told, frozen=True, kw_only=True):
    """A saga that is not like the others."""

    id: SagaId
    why: Why
    """What is unusual: its path, or how long it took."""
    duration_ms: int
    """From its start to its end, or to now."""
    variant: Key
    share: Share | None = None
    p99: P99 | None = None


class OpenCase(Told, frozen=True, kw_only=True):
    """A saga that has not ended."""

    id: SagaId
    started: str
    """When its first event occurred."""
    last_type: Type
    """The type of its newest step."""
    ending: Ending
    """Open, or stuck."""


class Window(Told, frozen=True, kw_only=True):
    """The sagas that started from `from` to `to` (exclusive, where it was asked for), or the newest of them."""

    start: str | None = msgspec.field(name="from", default=None)
    """The first moment: as asked for, or when the oldest of these sagas started."""
    end: str | None = msgspec.field(name="to", default=None)
    """The last moment: as asked for, or when the newest of these sagas started."""
    sagas: Count
    more: bool = False
    """Whether there are older ones in the window that were not read."""
    endings: Endings
    durations: Durations | None = None
    """How long the sagas took that ended: percentiles."""
    histogram: Sequence[Bar]
    """How long the sagas took that ended."""
    minutes: Sequence[Bucket]
    """How many sagas started when, and how they ended."""
    bucket_ms: int
    """How long each of `minutes` is."""
    nodes: Sequence[NodeTold]
    """The most frequent events, 100 at most."""
    other_nodes: int = 0
    """How many events are not in `nodes`."""
    edges: Sequence[EdgeTold]
    """What most often led to what, among `nodes`: 200 at most."""
    other_edges: int = 0
    """How many of what led to what are not in `edges`."""
    variants: Sequence[Variant]
    """The most frequent paths, 50 at most."""
    other_variants: int = 0
    """How many paths are not in `variants`."""
    unusual: Sequence[Unusual]
    """The newest sagas that are not like the others, 50 at most."""
    oldest_open: Sequence[OpenCase]
    """Those that are open for longest, 10 at most. Not all of them are among the sagas that were read."""


class VariantChange(Told, frozen=True, kw_only=True):
    """A path, and how many took it in each window."""

    key: Key
    steps: Sequence[PathNode]
    """The path's events, causes before effects."""
    share: Share
    against_share: Share
    """The same in the window to compare with."""


class Change(StrEnum):
    SLOWER = "slower"
    NEW = "new"
    GONE = "gone"
    FASTER = "faster"
    SAME = "same"


class EdgeChange(Told, frozen=True, kw_only=True):
    """What led to what, and how long it took in each window."""

    start: From = msgspec.field(name="from")
    end: To = msgspec.field(name="to")
    p50: Median | None = None
    against_p50: Median | None = None
    """The same in the window to compare with."""
    change: Change
    """What became of it."""


class Compared(Told, frozen=True, kw_only=True):
    """A window next to an earlier one: what became rarer, slower, new. Those that changed most come first."""

    variants: Sequence[VariantChange]
    """Paths, by how much their shares differ."""
    edges: Sequence[EdgeChange]
    """What led to what: first what became slower, then what is new, gone, faster, the same."""


class Flow(Told, frozen=True, kw_only=True):
    """What is usual in a window of time, and what is not."""

    window: Window
    """What was asked for."""
    against: Window | None = None
    """The earlier one to compare with."""
    compared: Compared | None = None
    """The one next to the other."""
