"""What is usual on a bus, counted from many sagas: which event leads to which, on which paths, how fast, how it ends.

Every number is a plain count over the sagas that are given, in whatever order they come. Percentiles are by nearest
rank: the smallest value that at least so many per cent of all values do not exceed. So each is a value that occurred.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property, partial

import msgspec

from eventflow import clock
from timeline import sagas
from timeline.paths import Shape, shape_key, shape_of, variant_key
from timeline.sagas import Ending, PathStep, Role, SagaId, Summary, Vocabulary
from timeline.told import (
    Bar,
    Bucket,
    Change,
    Compared,
    Durations,
    EdgeChange,
    EdgeTold,
    Flow,
    NodeTold,
    OpenCase,
    PathNode,
    Unusual,
    Variant,
    VariantChange,
    Why,
    Window,
)

RARE_PER_CENT = 1
"""A path that fewer sagas than this take is rare."""

MOST_STEPS = 24
"""Of a saga's path; what comes after is not counted (the state machine's "Has it ended?")."""

MOST_VARIANTS = 50
MOST_UNUSUAL = 50
MOST_NODES = 100
MOST_EDGES = 200
MOST_OPEN = 10
MOST_EXAMPLES = 3
MOST_BUCKETS = 60

SLOWER_BY = 1.25
"""An edge became slower if its median is this many times what it was, and..."""
SLOWER_BY_MS = 10
"""...so much more than it was. A rule of thumb, not a test of significance."""

BOUNDS = (0, 1, 2, 3, 5, 7, *(digits * 10**power for power in range(8) for digits in (10, 15, 20, 30, 50, 70)))
"""Of the histogram's bars, in milliseconds: six to a power of ten, up to 8 days."""

MINUTE = 60_000
DAY = 24 * 60 * MINUTE
BUCKETS = (*(n * MINUTE for n in (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720)), *(n * DAY for n in (1, 2, 7, 14, 30)))
"""How long a bucket of the throughput may be. Beyond, it is as many days as it takes."""

Node = tuple[str, str]
"""A lane and an event type: what the map draws as one."""


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """A saga, as far as it is counted here. (Process mining calls one run of a process a case.)"""

    id: SagaId
    path: Sequence[PathStep]
    """Its first events, in the order of time."""
    ending: Ending
    started_at: int
    """Milliseconds since 1970."""
    duration_ms: int
    """To its end, or to now."""
    last_type: str
    is_whole: bool = True
    """Whether its path is all of it."""

    @classmethod
    def of(cls, summary: Summary, vocabulary: Vocabulary, now: int, stuck_after: int) -> Case:
        """`now` and `stuck_after` in milliseconds."""
        path = sagas.path_of(summary, vocabulary)
        return cls(
            id=summary.id,
            path=path,
            ending=summary.stands(now, stuck_after),
            started_at=summary.started_at,
            duration_ms=summary.duration(now),
            last_type=summary.last_type,
            is_whole=len(path) < MOST_STEPS,
        )

    @property
    def ended(self) -> bool:
        return self.ending not in (Ending.OPEN, Ending.STUCK)


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """The sagas that were read of a window: from `since` to `until`, if that was asked for.

    In milliseconds since 1970; `until` is exclusive, and does not lie in the future.
    """

    cases: Sequence[Case]
    oldest_open: Sequence[Case] = ()
    """Those of the window that are open for longest, which may be older than what was read."""
    since: int | None = None
    until: int | None = None
    more: bool = False


def flow(sample: Sample, against: Sample | None, role: Callable[[str], Role]) -> Flow:
    """`role` says what a type of event is (Vocabulary.role)."""
    tally = _Tally(sample)
    if against is None:
        return Flow(window=_window(tally, role))
    earlier = _Tally(against)
    return Flow(window=_window(tally, role), against=_window(earlier, role), compared=_compared(tally, earlier))


class _Tally:
    """What is counted of a sample, before the answer is cut to what is worth showing."""

    def __init__(self, sample: Sample) -> None:
        self.sample = sample
        self.cases = sorted(sample.cases, key=lambda case: (case.started_at, case.id), reverse=True)
        self.by_shape: dict[Shape, list[Case]] = defaultdict(list)
        self.nodes: Counter[Node] = Counter()
        self.stops: Counter[Node] = Counter()
        self.edges: Counter[tuple[Node, Node]] = Counter()
        self.gaps: dict[tuple[Node, Node], list[int]] = defaultdict(list)
        for case in self.cases:
            path = case.path
            nodes = [(step.lane, step.type) for step in path]
            self.by_shape[shape_of(path)].append(case)
            self.nodes.update(set(nodes))
            if nodes and not case.ended and case.is_whole:
                self.stops[nodes[-1]] += 1
            own = set()
            for step, node in zip(path, nodes, strict=True):
                for cause in step.causes:
                    edge = nodes[cause], node
                    own.add(edge)
                    self.gaps[edge].append(step.offset_ms - path[cause].offset_ms)
            self.edges.update(own)

    def share(self, count: int) -> float:
        return count / len(self.cases)

    @cached_property
    def shown(self) -> list[Node]:
        """The commonest nodes."""
        return sorted(self.nodes, key=lambda node: (-self.nodes[node], node))[:MOST_NODES]

    @cached_property
    def drawn(self) -> list[tuple[Node, Node]]:
        """The commonest edges between these."""
        shown = set(self.shown)
        among = [edge for edge in self.edges if edge[0] in shown and edge[1] in shown]
        return sorted(among, key=lambda edge: (-self.edges[edge], edge))[:MOST_EDGES]


def _window(tally: _Tally, role: Callable[[str], Role]) -> Window:
    cases, sample = tally.cases, tally.sample
    took = sorted([case.duration_ms for case in cases if case.ended])
    columns = _columns(tally.shown, tally.drawn)
    variants = sorted([_variant(shape, own, tally) for shape, own in tally.by_shape.items()], key=_commonest)
    since = sample.since if not (sample.more and cases) else None  # of what is older nothing is known here
    first, last = (cases[-1].started_at, cases[0].started_at) if cases else (None, None)
    start, end = since if since is not None else first, sample.until if sample.until is not None else last
    bucket_ms, minutes = _throughput(cases, last if sample.until is None else sample.until - 1)
    return Window(
        start=None if start is None else clock.iso(start),
        end=None if end is None else clock.iso(end),
        sagas=len(cases),
        more=sample.more,
        endings=_endings(cases),
        durations=_durations(took),
        histogram=_histogram(took),
        minutes=minutes,
        bucket_ms=bucket_ms,
        nodes=[
            NodeTold(
                lane=node[0],
                type=node[1],
                role=role(node[1]),
                count=tally.nodes[node],
                share=tally.share(tally.nodes[node]),
                stops=tally.stops[node],
                column=columns[node],
            )
            for node in tally.shown
        ],
        other_nodes=len(tally.nodes) - len(tally.shown),
        edges=[
            EdgeTold(
                start=node_key(edge[0]),
                end=node_key(edge[1]),
                count=tally.edges[edge],
                share=tally.share(tally.edges[edge]),
                p50=percentile(gaps, 50),
                p95=percentile(gaps, 95),
            )
            for edge in tally.drawn
            for gaps in [sorted(tally.gaps[edge])]
        ],
        other_edges=len(tally.edges) - len(tally.drawn),
        variants=variants[:MOST_VARIANTS],
        other_variants=max(0, len(variants) - MOST_VARIANTS),
        unusual=_unusual(tally, {variant.key: variant for variant in variants}),
        oldest_open=_oldest_open(sample),
    )


def _oldest_open(sample: Sample) -> list[OpenCase]:
    still = {case.id: case for case in (*sample.cases, *sample.oldest_open) if not case.ended}
    return [
        OpenCase(id=case.id, started=clock.iso(case.started_at), last_type=case.last_type, ending=case.ending)
        for case in sorted(still.values(), key=lambda case: (case.started_at, case.id))[:MOST_OPEN]
    ]


def node_key(node: Node) -> str:
    return f"{node[0]}/{node[1]}"


def percentile(values: Sequence[int], per_cent: int) -> int:
    """By nearest rank, of values in ascending order. Raises IndexError if there are none."""
    return values[-(-len(values) * per_cent // 100) - 1]


def _durations(took: Sequence[int]) -> Durations | None:
    if not took:
        return None
    p50, p95, p99 = (percentile(took, per_cent) for per_cent in (50, 95, 99))
    return Durations(p50=p50, p95=p95, p99=p99, max=took[-1])


def _endings(cases: Iterable[Case]) -> dict[Ending, int]:
    found = Counter(case.ending for case in cases)
    return {ending: found[ending] for ending in Ending if found[ending]}


def _histogram(took: Sequence[int]) -> list[Bar]:
    """From the bar of the shortest to that of the longest, those between them too."""
    counts = Counter(max(0, bisect_right(BOUNDS, duration) - 1) for duration in took)
    if not counts:
        return []
    first, last = min(counts), max(counts)
    return [
        Bar(start=BOUNDS[bar], end=BOUNDS[bar + 1] if bar < last else None, count=counts[bar])
        for bar in range(first, last + 1)
    ]


def _throughput(cases: Sequence[Case], last: int | None) -> tuple[int, list[Bucket]]:
    """How long a bucket is, and at most MOST_BUCKETS, from the first that started to `last`: a silence shows."""
    if not cases or last is None:
        return BUCKETS[0], []
    first, last = cases[-1].started_at, max(last, cases[0].started_at)
    days = -(-(last - first) // (DAY * (MOST_BUCKETS - 1)))
    length = next((it for it in BUCKETS if last // it - first // it < MOST_BUCKETS), days * DAY)
    by_bucket = defaultdict(list)
    for case in cases:
        by_bucket[case.started_at // length].append(case)
    return length, [
        Bucket(minute=clock.iso(bucket * length), endings=_endings(by_bucket.get(bucket, ())))
        for bucket in range(first // length, last // length + 1)
    ]


def _columns(nodes: Iterable[Node], edges: Sequence[tuple[Node, Node]]) -> dict[Node, int]:
    """The longest way to each, by the commonest edges first: one that would close a circle is not counted."""
    after: dict[Node, set[Node]] = {node: set() for node in nodes}
    columns = dict.fromkeys(nodes, 0)
    for start, end in edges:
        if start == end or _leads_to(end, start, after):
            continue
        after[start].add(end)
        moved = [(end, columns[start] + 1)]
        while moved:
            node, column = moved.pop()
            if column > columns[node]:
                columns[node] = column
                moved += [(it, column + 1) for it in after[node]]
    return columns


def _leads_to(start: Node, end: Node, after: Mapping[Node, set[Node]]) -> bool:
    seen, unseen = {start}, [start]
    while unseen:
        node = unseen.pop()
        if node == end:
            return True
        unseen += after[node] - seen
        seen.update(after[node])
    return False


def _variant(shape: Shape, cases: Sequence[Case], tally: _Tally) -> Variant:
    took = sorted([case.duration_ms for case in cases if case.ended])
    durations = _durations(took)
    endings = _endings(cases)
    return Variant(
        key=shape_key(shape),
        steps=_steps(shape),
        ending=max(endings, key=lambda ending: endings[ending]),
        count=len(cases),
        share=tally.share(len(cases)),
        p50=durations.p50 if durations else None,
        p95=durations.p95 if durations else None,
        p99=durations.p99 if durations else None,
        slow=sum(duration > durations.p99 for duration in took) if durations else 0,
        examples=[case.id for case in cases[:MOST_EXAMPLES]],
    )


def _steps(shape: Shape) -> list[PathNode]:
    return [PathNode(lane=lane, type=kind, causes=causes) for lane, kind, causes in shape]


def _commonest(variant: Variant) -> tuple[int, str]:
    return -variant.count, variant.key


def _unusual(tally: _Tally, variants: Mapping[str, Variant]) -> list[Unusual]:
    found: list[Unusual] = []
    for case in tally.cases:
        variant = variants[variant_key(case.path)]
        rare = variant.count * 100 < len(tally.cases) * RARE_PER_CENT
        about = partial(Unusual, id=case.id, duration_ms=case.duration_ms, variant=variant.key)
        if rare and case.ending is not Ending.OPEN:
            found.append(about(why=Why.RARE, share=variant.share))
        elif case.ended and variant.p99 is not None and case.duration_ms > variant.p99:
            found.append(about(why=Why.SLOW, p99=variant.p99))
        if len(found) == MOST_UNUSUAL:
            break
    return found


def _compared(now: _Tally, earlier: _Tally) -> Compared:
    shapes = sorted(now.by_shape.keys() | earlier.by_shape.keys(), key=shape_key)
    variants = [
        VariantChange(
            key=shape_key(shape),
            steps=_steps(shape),
            share=now.share(len(now.by_shape.get(shape, ()))) if now.cases else 0.0,
            against_share=earlier.share(len(earlier.by_shape.get(shape, ()))) if earlier.cases else 0.0,
        )
        for shape in shapes
    ]
    variants.sort(key=lambda it: (-abs(it.share - it.against_share), it.key))
    edges = [
        _edge_change(edge, sorted(now.gaps.get(edge, ())), sorted(earlier.gaps.get(edge, ())))
        for edge in sorted({*now.drawn, *earlier.drawn})
    ]
    order = list(Change)
    edges.sort(key=lambda it: (order.index(it.change), -abs((it.p50 or 0) - (it.against_p50 or 0))))
    return Compared(variants=variants[:MOST_VARIANTS], edges=edges[:MOST_EDGES])


def _edge_change(edge: tuple[Node, Node], gaps: Sequence[int], earlier: Sequence[int]) -> EdgeChange:
    p50 = percentile(gaps, 50) if gaps else None
    against = percentile(earlier, 50) if earlier else None
    if p50 is None or against is None:
        change = Change.GONE if p50 is None else Change.NEW
    elif _is_slower(p50, against):
        change = Change.SLOWER
    else:
        change = Change.FASTER if _is_slower(against, p50) else Change.SAME
    return EdgeChange(start=node_key(edge[0]), end=node_key(edge[1]), p50=p50, against_p50=against, change=change)


def _is_slower(one: int, other: int) -> bool:
    return one > SLOWER_BY * other and one >= other + SLOWER_BY_MS
