"""Draws a timeline in the terminal, as the console does: its end, a lane per source, its events in order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from ops.axis import Axis
from ops.plain import plain
from timeline.sagas import Role, Status, Step, Timeline

# Each has a sign of its own: many people do not see colours, and a file has none.
LOOKS = {
    Role.STEP: ("●", "cyan"),
    Role.OUTCOME: ("◎", "green"),
    Role.FAILURE: ("✗", "red"),
    Role.COMPENSATION: ("◆", "yellow"),
}
MOST_TELLING = [Role.FAILURE, Role.COMPENSATION, Role.OUTCOME, Role.STEP]
"""Whose colour several events in one place have."""

CRITICAL = "━"
NAME_COLUMNS = 14
DEEPEST = 6
"""How far the tree is indented: what comes after more causes is not moved further."""


def draw(timeline: Timeline, console: Console) -> None:
    for part in _parts(timeline, console.width):
        console.print(part)


def _parts(timeline: Timeline, width: int) -> Iterator[RenderableType]:
    steps = timeline.events
    yield Text(plain(timeline.id), "bold")
    yield Text(_fate(timeline))
    yield Text(f"{_counted(timeline.event_count)}, started {timeline.started[:23].replace('T', ' ')} UTC")
    if timeline.truncated:
        yield Text(f"Only the newest {len(steps)} are drawn.")
    if not steps:
        return
    yield ""
    yield from _swimlanes(steps, width)
    yield _legend()
    yield ""
    yield _events(steps)


def _fate(timeline: Timeline) -> str:
    how = plain(timeline.outcome or timeline.last_type)
    time = duration(timeline.duration_ms)
    match timeline.status:
        case Status.DONE:
            return f"done: {how} in {time}"
        case Status.OPEN:
            return f"open for {time}, by now {how}"
        case Status.STUCK:
            return f"stuck after {how}, open for {time}"


def _counted(events: int) -> str:
    return "1 event" if events == 1 else f"{events} events"


def _swimlanes(steps: Sequence[Step], width: int) -> Iterator[Text]:
    axis = Axis.of([step.offset_ms for step in steps], max(10, width - NAME_COLUMNS - 2))
    yield Text(" " * NAME_COLUMNS + _scale(axis, width - NAME_COLUMNS), "dim")
    for source in dict.fromkeys(step.source for step in steps):
        name = Text(service(source), no_wrap=True)
        name.truncate(NAME_COLUMNS - 1, overflow="ellipsis", pad=True)
        lane = Text.assemble(name, " ", *_lane([step for step in steps if step.source == source], axis))
        lane.rstrip()
        yield lane


def _scale(axis: Axis, width: int) -> str:
    """The figures above the lanes, as many as there is room for."""
    line = ""
    for column, offset in axis.ticks():
        figure = duration(offset)
        start = min(column, width - len(figure))
        if start > len(line) or not line:
            line = line.ljust(start) + figure
    return line


def _lane(own: Sequence[Step], axis: Axis) -> list[tuple[str, str]]:
    """A character and its style per column: marks of events, and before each a bar from when its cause occurred."""
    marks: dict[int, list[Step]] = defaultdict(list)
    cells = [(" ", "")] * (axis.last_column + 1)
    for step in sorted(own, key=lambda step: step.critical):
        column = axis.column(step.offset_ms)
        marks[column].append(step)
        for before in range(axis.column(step.offset_ms - (step.gap_ms or 0)), column):
            cells[before] = (CRITICAL, "bold") if step.critical else ("─", "dim")
    for column in axis.breaks():
        cells[column : column + 2] = [("/", "dim")] * 2
    for column, there in marks.items():
        cells[column] = _mark(there)
    return cells


def _mark(steps: Sequence[Step]) -> tuple[str, str]:
    """Of one event its sign; of several in one place, how many they are."""
    sign, colour = LOOKS[min((step.role for step in steps), key=MOST_TELLING.index)]
    if len(steps) > 1:
        sign = str(len(steps)) if len(steps) < 10 else "+"
    return sign, f"bold {colour}" if any(step.critical for step in steps) else colour


def _legend() -> Text:
    signs = [part for role, (sign, colour) in LOOKS.items() for part in ((sign, colour), f" {role}   ")]
    return Text.assemble(" " * NAME_COLUMNS, *signs, (CRITICAL, "bold"), " critical path")


def _events(steps: Sequence[Step]) -> Table:
    numbers = {_place(step): str(number) for number, step in enumerate(steps, start=1)}
    depths = _depths(steps)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("", width=1)
    for heading in ("#", "offset", "gap", "from"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("source", max_width=NAME_COLUMNS, no_wrap=True)
    table.add_column("event", overflow="fold")
    for number, step in enumerate(steps, start=1):
        sign, colour = LOOKS[step.role]
        depth, cause = depths[_place(step)], _cause(step)
        branch = "  " * (min(depth, DEEPEST) - 1) + "└ " if depth else ""
        table.add_row(
            CRITICAL if step.critical else "",
            str(number),
            duration(step.offset_ms),
            "" if step.gap_ms is None else duration(step.gap_ms),
            numbers[cause] if cause else "",
            Text(service(step.source)),
            Text.assemble(branch, (sign, colour), " ", plain(step.type)),
            style="bold" if step.critical else "",
        )
    return table


Place = tuple[str, int]
"""An event's id, and its offset in milliseconds: a foreign service may use an id that another event has."""


def _place(step: Step) -> Place:
    return step.event_id, step.offset_ms


def _cause(step: Step) -> Place | None:
    return None if step.gap_ms is None else (step.causation_id or "", step.offset_ms - step.gap_ms)


def _depths(steps: Sequence[Step]) -> dict[Place, int]:
    """How many events led to each, one by one."""
    causes = {_place(step): _cause(step) for step in steps}
    depths = {}
    for place in causes:
        path: dict[Place, None] = {}
        at: Place | None = place
        while at and at not in path:  # a foreign event may claim to have led to itself
            path[at] = None
            at = causes[at]
        depths[place] = len(path) - 1
    return depths


def service(source: str) -> str:
    """`eventflow.payment` as `payment`."""
    return plain(source.rpartition(".")[2] or source)


def duration(milliseconds: int) -> str:
    """In the one or two units that tell most: 431 ms, 1.25 s, 5 min 12 s."""
    if milliseconds < 1_000:
        return f"{milliseconds} ms"
    if milliseconds < 59_950:
        return f"{milliseconds / 1_000:.{2 if milliseconds < 10_000 else 1}f} s"
    minutes, seconds = divmod(round(milliseconds / 1_000), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [f"{n} {unit}" for n, unit in ((days, "d"), (hours, "h"), (minutes, "min"), (seconds, "s"))]
    first = next(index for index, part in enumerate(parts) if not part.startswith("0 "))
    return " ".join(part for part in parts[first : first + 2] if not part.startswith("0 "))
