"""What is usual, for the page of one saga: how long each gap takes, and what comes next."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from timeline.flow import Case, Node, percentile
from timeline.paths import Shape, shape_of
from timeline.sagas import Awaited, PathStep, Role, Status, Step, Timeline


class Usual(msgspec.Struct, frozen=True):
    """Of the sagas that ended."""

    gaps: Mapping[tuple[Node, Node], int]
    """The median time from an event's cause (the later one, if it has two) to it."""
    paths: Mapping[Shape, int]
    """How many took each."""

    def gap(self, cause: PathStep | Step, step: PathStep | Step) -> int | None:
        """In milliseconds, if it is known."""
        return self.gaps.get(((cause.lane, cause.type), (step.lane, step.type)))

    def waits_for(self, path: Sequence[PathStep]) -> list[Awaited]:
        """What at least half of the sagas that came this far had next, and this one has not.

        Came this far: they had all events of the path. Next: all that led to it is in the path.
        """
        here = Counter((step.lane, step.type) for step in path)
        followed: Counter[Node] = Counter()
        after: dict[Node, set[Node]] = defaultdict(set)
        alike = 0
        for shape, count in self.paths.items():
            nodes = [step[:2] for step in shape]
            if not here <= Counter(nodes):
                continue
            alike += count
            missing = {
                node: {nodes[cause] for cause in step[2]}
                for node, step in zip(nodes, shape, strict=True)
                if node not in here
            }
            following = {node for node, causes in missing.items() if causes and causes <= here.keys()}
            followed.update(dict.fromkeys(following, count))
            for node in following:
                after[node] |= missing[node]
        found = []
        for node, count in followed.items():
            gaps = [self.gaps[cause, node] for cause in after[node] if (cause, node) in self.gaps]
            if 2 * count >= alike and gaps:
                found.append(Awaited(lane=node[0], type=node[1], usual_ms=min(gaps)))
        return sorted(found, key=lambda it: (it.usual_ms, it.lane, it.type))

    def added_to(self, timeline: Timeline) -> Timeline:
        """The timeline, with what each gap usually is; of one that is open, also with what usually comes next."""
        steps = [step for step in timeline.events if step.role is not Role.GIVE_UP]
        by_id = {step.event_id: step for step in reversed(steps)}  # a later one of the same id has copied it
        told = []
        for step in timeline.events:
            causes = [by_id[cause] for cause in step.causes if cause in by_id] if step.role is not Role.GIVE_UP else []
            cause = max(causes, key=lambda it: it.offset_ms, default=None)
            gap = self.gap(cause, step) if cause else None
            told.append(step if gap is None else msgspec.structs.replace(step, usual_ms=gap))
        path = [PathStep(step.lane, step.type, step.offset_ms) for step in steps]
        awaited = self.waits_for(path) if timeline.status is not Status.DONE else ()
        return msgspec.structs.replace(timeline, events=told, waits_for=tuple(awaited))


def usual(cases: Iterable[Case]) -> Usual:
    gaps: dict[tuple[Node, Node], list[int]] = defaultdict(list)
    paths: Counter[Shape] = Counter()
    for case in cases:
        if not case.ended:
            continue
        paths[shape_of(case.path)] += 1
        for step in case.path:
            if step.causes:
                cause = max([case.path[index] for index in step.causes], key=lambda it: it.offset_ms)
                gaps[(cause.lane, cause.type), (step.lane, step.type)].append(step.offset_ms - cause.offset_ms)
    return Usual({edge: percentile(sorted(own), 50) for edge, own in gaps.items()}, paths)
