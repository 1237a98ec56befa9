"""Draws a timeline in the terminal, as the console does: its end, a lane per source, its events in order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from ops.axis import Axis
from ops.plain import plain
from timeline.sagas import Awaited, Ending, Listed, Role, Status, Step, Timeline

# Each has a sign of its own: many people do not see colours, and a file has none.
LOOKS = {
    Role.STEP: ("●", "cyan"),
    Role.OUTCOME: ("◎", "green"),
    Role.FAILURE: ("✗", "red"),
    Role.COMPENSATION: ("◆", "yellow"),
    Role.GIVE_UP: ("!", "red"),
}
WORDS = {Role.GIVE_UP: "gave up"}
MOST_TELLING = [Role.GIVE_UP, Role.FAILURE, Role.COMPENSATION, Role.OUTCOME, Role.STEP]
"""Whose colour several events in one place have."""

ENDINGS = {
    Ending.SUCCEEDED: ("succeeded", "green"),
    Ending.FAILED: ("failed", "red"),
    Ending.CALLED_OFF: ("called off", "yellow"),
    Ending.OPEN: ("open", "cyan"),
    Ending.STUCK: ("stuck", "bold red"),
}
"""How each is called, and its colour."""

MISSING = "?"
"""For a cause that was not kept."""

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
    yield fate(timeline)
    yield Text(f"{_counted(timeline)}, started {timeline.started[:23].replace('T', ' ')} UTC")
    yield from _give_ups(steps)
    if timeline.waits_for:
        yield Text(f"usually next: {', '.join(_awaited(each) for each in timeline.waits_for)}")
    if timeline.truncated:
        yield Text(f"Only the newest {len(steps)} are drawn.")
    if not steps:
        return
    yield ""
    yield from _swimlanes(steps, width)
    yield _legend(steps)
    yield ""
    yield _events(steps)
    if any(step.cause_missing for step in steps):
        yield Text(f"{MISSING}: it names a cause that was not kept", "dim")
    if any(step.inferred for step in steps):
        yield Text("No event says what led to it: each is drawn after the one before.", "dim")


def fate(saga: Listed) -> Text:
    """How it ended and why, or what it has come to: "failed: Out of stock (OrderCancelled after 431 ms)"."""
    word, colour = ENDINGS[saga.ending]
    reason = f": {plain(saga.reason)}" if saga.reason else ""
    time = duration(saga.duration_ms)
    how = f"{plain(saga.outcome or saga.last_type)} after {time}"
    if saga.status is not Status.DONE:
        how = f"for {time}, last {plain(saga.last_type)}"
    return Text.assemble((f"{word}{reason}", colour), f" ({how})")


def _counted(timeline: Timeline) -> str:
    least = "at least " if timeline.cut and timeline.truncated else ""
    return f"{least}{timeline.event_count} event{'' if timeline.event_count == 1 else 's'}"


def _give_ups(steps: Sequence[Step]) -> Iterator[Text]:
    """A line for each event that a consumer gave up on, and what came of it."""
    for step in steps:
        if not (failure := step.failure):
            continue
        more = [f"{failure.attempts} attempts"] if failure.attempts else []
        if failure.redriven_at:
            more += [f"redriven {failure.redriven_at[11:19]}: {plain(failure.outcome or 'handled')}"]
        line = f"✗ {plain(failure.service)} could not handle {plain(step.type)}: {plain(failure.exception)}"
        yield Text(line + (f" ({', '.join(more)})" if more else ""), "" if failure.redriven_at else "red")


def _awaited(awaited: Awaited) -> str:
    return f"{plain(awaited.type)} of {plain(awaited.lane)} ({duration(awaited.usual_ms)})"


def _swimlanes(steps: Sequence[Step], width: int) -> Iterator[Text]:
    axis = Axis.of([step.offset_ms for step in steps], max(10, width - NAME_COLUMNS - 2))
    yield Text(" " * NAME_COLUMNS + _scale(axis, width - NAME_COLUMNS), "dim")
    for lane_name in dict.fromkeys(step.lane for step in steps):
        name = Text(plain(lane_name), no_wrap=True)
        name.truncate(NAME_COLUMNS - 1, overflow="ellipsis", pad=True)
        lane = Text.assemble(name, " ", *_lane([step for step in steps if step.lane == lane_name], axis))
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


def _legend(steps: Sequence[Step]) -> Text:
    there = {Role.STEP, Role.OUTCOME, Role.FAILURE, Role.COMPENSATION, *(step.role for step in steps)}
    shown = [(WORDS.get(role, role), look) for role, look in LOOKS.items() if role in there]
    signs = [part for word, look in shown for part in (look, f" {word}   ")]
    return Text.assemble(" " * NAME_COLUMNS, *signs, (CRITICAL, "bold"), " critical path")


def _events(steps: Sequence[Step]) -> Table:
    places: dict[str, int] = {}
    for place, step in enumerate(steps):
        if step.role is not Role.GIVE_UP:
            places.setdefault(step.event_id, place)  # a later one of the same id has copied it
    causes = [sorted(places[it] for it in step.causes if it in places) for step in steps]
    depths = _depths(causes)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("", width=1)
    for heading in ("#", "offset", "gap", "from"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("service", max_width=NAME_COLUMNS, no_wrap=True)
    table.add_column("event", overflow="fold")
    for place, step in enumerate(steps):
        sign, colour = LOOKS[step.role]
        branch = "  " * (min(depths[place], DEEPEST) - 1) + "└ " if depths[place] else ""
        said = f"gave up on {step.type}" if step.role is Role.GIVE_UP else step.type
        reason = f": {plain(step.reason)}" if step.reason and step.role is not Role.GIVE_UP else ""
        usually = f" (usually {duration(step.usual_ms)})" if step.usual_ms is not None else ""
        table.add_row(
            CRITICAL if step.critical else "",
            str(place + 1),
            duration(step.offset_ms),
            "" if step.gap_ms is None else duration(step.gap_ms),
            MISSING if step.cause_missing else ",".join(str(cause + 1) for cause in causes[place]),
            Text(plain(step.lane)),
            Text.assemble(branch, (sign, colour), " ", plain(said), (f"{reason}{usually}", "dim")),
            style="bold" if step.critical else "",
        )
    return table


def _depths(causes: Sequence[Sequence[int]]) -> list[int]:
    """How many events led to each, one by one; of two causes, by the later."""
    depths = []
    for place in range(len(causes)):
        path: list[int] = []
        at: int | None = place
        while at is not None and at not in path:  # a foreign event may claim to have led to itself
            path.append(at)
            at = max(causes[at], default=None)
        depths.append(len(path) - 1)
    return depths


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
