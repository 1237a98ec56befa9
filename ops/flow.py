"""Draws in the terminal what is usual on a bus, as the console's page Flow does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

import msgspec
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from eventflow import clock
from ops import OpsError
from ops.drawing import ENDINGS, LOOKS, duration
from ops.moments import moment
from ops.plain import plain
from timeline.flow import Sample, flow
from timeline.sagas import Ending
from timeline.table import TimelineTable
from timeline.told import Change, Compared, Flow, PathNode, Variant, Why, Window

BAR_COLUMNS = 20
BLOCKS = " ▏▎▍▌▋▊▉"
HEIGHTS = "▁▂▃▄▅▆▇█"
MOST_SHOWN = 12
"""Lines of a list that is longer: --json has all of it."""

CHANGES = {
    Change.SLOWER: "red",
    Change.NEW: "yellow",
    Change.GONE: "yellow",
    Change.FASTER: "green",
    Change.SAME: "dim",
}


def span(option: str, text: str, now: datetime) -> tuple[datetime, datetime]:
    """Of "2h..1h". Raises OpsError."""
    start, dots, end = text.partition("..")
    if not dots:
        raise OpsError(f"{option} {text!r} is no span: write 2h..1h, or 2026-01-31T11:00Z..2026-01-31T12:00Z")
    since, until = (moment(option, part, now) for part in (start, end))
    if since >= until:
        raise OpsError(f"{option} {text!r} ends before it begins: write it like 2h..1h")
    return since, until


def flow_of(table: TimelineTable, since: datetime | None, against: tuple[datetime, datetime] | None) -> Flow:
    """Of the newest sagas since then, next to those of another time."""

    def sample(since: datetime | None, until: datetime | None) -> Sample:
        start, end = (int(it.timestamp() * 1000) if it else None for it in (since, until))
        return table.sample(table.partitions(), clock.now(), start, end)

    return flow(sample(since, None), sample(*against) if against else None, table.rules.vocabulary.role)


def show(told: Flow, name: str, console: Console) -> None:
    """`name` is the stack's."""
    for part in _parts(told, name):
        console.print(part)


def as_json(told: Flow) -> str:
    """As GET /flow answers."""
    return msgspec.json.encode(told).decode()


def _parts(told: Flow, name: str) -> Iterator[RenderableType]:
    window = told.window
    yield Text(f"{name}: {_about(window)}", "bold")
    if told.against:
        yield Text(f"against {_about(told.against)}")
    if not window.sagas:
        yield Text("None began in that time. Another: make flow SINCE=1d")
        return
    yield _endings(window)
    if window.durations:
        took = window.durations
        times = ", ".join(
            f"{duration(it)} ({name})" for it, name in ((took.p50, "p50"), (took.p95, "p95"), (took.p99, "p99"))
        )
        yield Text(f"Those that ended took {times}, {duration(took.max)} at most. (Percentiles by nearest rank.)")
    yield _throughput(window)
    yield from _headed("The map: what led to what, in how many sagas, and how long after", _map(window))
    yield from _headed("The paths", _variants(window))
    if told.compared:
        yield from _headed("What changed", _changes(told.compared))
    if window.unusual:
        yield from _headed("Unusual: a path of less than 1 %, or slower than 99 % of its path", _unusual(window))
    if window.oldest_open:
        yield from _headed("Open for longest", _oldest(window))
    yield Text("\nThe sagas of a path: make sagas VARIANT=<its key>. One saga: make timeline ORDER=<its id>.", "dim")


def _headed(title: str, body: RenderableType) -> Iterator[RenderableType]:
    yield ""
    yield Text(title, "bold")
    yield body


def _about(window: Window) -> str:
    when = f", {_second(window.start)} to {_second(window.end)} UTC" if window.start and window.end else ""
    newest = "the newest of more" if window.more else ""
    return f"{window.sagas:,} saga{'' if window.sagas == 1 else 's'}{when}" + (f" ({newest})" if newest else "")


def _second(when: str) -> str:
    return when[:19].replace("T", " ")


def _per_cent(share: float) -> str:
    return f"{share:.1%}".replace("%", " %")


def _endings(window: Window) -> Text:
    parts: list[str | tuple[str, str]] = []
    for ending, count in window.endings.items():
        word, colour = ENDINGS[ending]
        parts += [(word, colour), f" {count:,} ({_per_cent(count / window.sagas)})   "]
    return Text.assemble(*parts)


def _throughput(window: Window) -> Text:
    """A line of how many began in each bucket; red where more than a tenth of them failed or are stuck."""
    totals = [sum(bucket.endings.values()) for bucket in window.minutes]
    most = max(totals, default=0) or 1
    cells = []
    for bucket, total in zip(window.minutes, totals, strict=True):
        bad = sum(bucket.endings.get(ending, 0) for ending in (Ending.FAILED, Ending.STUCK))
        height = HEIGHTS[-(-total * (len(HEIGHTS) - 1) // most)] if total else " "
        cells.append((height, "red" if bad * 10 > total else "green"))
    unit = duration(window.bucket_ms)
    return Text.assemble("Begun, by ", unit, ": ", *cells, f" at most {most:,}")


def _table(*columns: str) -> Table:
    """A column is on the right if its heading begins with >."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for column in columns:
        right = column.startswith(">")
        table.add_column(column.removeprefix(">"), justify="right" if right else "left", no_wrap=right, overflow="fold")
    return table


def _map(window: Window) -> Table:
    table = _table("event", ">sagas", ">share", ">p50", ">p95", ">stop here")
    for node in sorted(window.nodes, key=lambda node: (node.column, -node.count, node.lane, node.type)):
        sign, colour = LOOKS[node.role]
        name = Text.assemble((sign, colour), f" {plain(node.type)}", (f" of {plain(node.lane)}", "dim"))
        table.add_row(name, f"{node.count:,}", _per_cent(node.share), "", "", f"{node.stops:,}" if node.stops else "")
        for edge in window.edges:
            if edge.start == f"{node.lane}/{node.type}":
                led_to = Text(f"  → {plain(edge.end.partition('/')[2])}", "dim")
                times = duration(edge.p50), duration(edge.p95)
                table.add_row(led_to, f"{edge.count:,}", _per_cent(edge.share), *times)
    _say_rest(table, window.other_nodes, "rarer types")
    return table


def _variants(window: Window) -> Table:
    table = _table("", ">share", ">sagas", ">p50", ">p95", ">p99", "path")
    for variant in window.variants[:MOST_SHOWN]:
        word, colour = ENDINGS[variant.ending]
        times = [duration(it) if it is not None else "" for it in (variant.p50, variant.p95, variant.p99)]
        path = Text.assemble((word, colour), f": {_path(variant.steps)}", (f" [{variant.key}]", "dim"))
        table.add_row(Text(_bar(variant.share), colour), _per_cent(variant.share), f"{variant.count:,}", *times, path)
    _say_rest(table, len(window.variants[MOST_SHOWN:]) + window.other_variants, "rarer paths")
    return table


def _say_rest(table: Table, number: int, what: str) -> None:
    if number:
        cells: list[str | Text] = [""] * len(table.columns)
        cells[0 if table.columns[0].header else -1] = Text(f"and {number:,} {what}", "dim")
        table.add_row(*cells)


def _bar(share: float) -> str:
    eighths = max(1, round(share * BAR_COLUMNS * 8))
    return "█" * (eighths // 8) + BLOCKS[eighths % 8].strip()


def _path(steps: Sequence[PathNode]) -> str:
    """What came at once is joined by +: "Created → Paid + Reserved → Confirmed"."""
    levels: list[int] = []
    for step in steps:
        levels.append(1 + max((levels[cause] for cause in step.causes), default=-1))
    return " → ".join(
        " + ".join(plain(step.type) for step, of in zip(steps, levels, strict=True) if of == level)
        for level in sorted(set(levels))
    )


def _changes(compared: Compared) -> Table:
    table = _table("", ">before", ">now", "")
    variants = [it for it in compared.variants if it.share != it.against_share]
    for variant in variants[:MOST_SHOWN]:
        rarer = variant.share < variant.against_share
        change = "new" if not variant.against_share else "gone" if not variant.share else "rarer" if rarer else "more"
        shares = _per_cent(variant.against_share), _per_cent(variant.share)
        table.add_row(change, *shares, Text(_path(variant.steps)))
    edges = [it for it in compared.edges if it.change is not Change.SAME]
    for edge in edges[:MOST_SHOWN]:
        times = ["" if it is None else duration(it) for it in (edge.against_p50, edge.p50)]
        what = Text(f"{plain(edge.start.partition('/')[2])} → {plain(edge.end.partition('/')[2])} (p50)")
        table.add_row(Text(edge.change, CHANGES[edge.change]), *times, what)
    if not variants and not edges:
        table.add_row("nothing", "", "", "")
    _say_rest(table, max(0, len(variants) - MOST_SHOWN) + max(0, len(edges) - MOST_SHOWN), "more")
    return table


def _unusual(window: Window) -> Table:
    table = _table("saga", "why", ">took", "path")
    paths: dict[str, Variant] = {variant.key: variant for variant in window.variants}
    for saga in window.unusual[:MOST_SHOWN]:
        why = f"its path is {_per_cent(saga.share or 0)} of all"
        if saga.why is Why.SLOW:
            why = f"slower than {duration(saga.p99 or 0)}, the p99 of its path"
        path = _path(paths[saga.variant].steps) if saga.variant in paths else f"[{saga.variant}]"
        table.add_row(Text(plain(saga.id)), why, duration(saga.duration_ms), Text(path))
    _say_rest(table, len(window.unusual[MOST_SHOWN:]), "more")
    return table


def _oldest(window: Window) -> Table:
    table = _table("saga", "ending", "since (UTC)", "last")
    for saga in window.oldest_open:
        word, colour = ENDINGS[saga.ending]
        table.add_row(Text(plain(saga.id)), Text(word, colour), _second(saga.started), Text(plain(saga.last_type)))
    return table
