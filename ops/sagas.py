"""Lists sagas in the terminal, as the console's list does."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Self

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from eventflow import clock
from ops import OpsError
from ops.drawing import ENDINGS, duration
from ops.plain import plain
from timeline import sagas
from timeline.sagas import Ending, Listed
from timeline.search import Found, Wanted
from timeline.table import Listings, Look, TimelineTable

WIDE = 120
"""Columns that a list of sagas needs with whole ids."""

UNITS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


class Asked(msgspec.Struct, frozen=True):
    wanted: Wanted
    find: Found | None
    limit: int

    @classmethod
    def of(cls, arguments: argparse.Namespace) -> Self:
        """Raises OpsError that says how each is written."""
        if arguments.find and len(arguments.find) < 6:
            raise OpsError(f"--find {arguments.find!r} is too short: give six characters or more (make: FIND=...)")
        if not 1 <= arguments.limit <= 1000:
            raise OpsError(f"--limit is from 1 to 1000, not {arguments.limit} (make: LIMIT=100)")
        wanted = Wanted(
            ending=_ending(arguments.ending),
            type=arguments.type or None,
            service=arguments.service or None,
            slower_than=_milliseconds("--slower", arguments.slower),
            variant=arguments.variant or None,
        )
        return cls(wanted, Found(arguments.find) if arguments.find else None, arguments.limit)


def between(since: datetime, until: datetime) -> Listings:
    """Of those that began from `since` to `until`."""
    return sagas.listing_of(int(since.timestamp() * 1000)), sagas.listing_of(int(until.timestamp() * 1000) + 1)


def show(look: Look, table: TimelineTable, console: Console, as_json: bool = False) -> None:
    """The sagas, newest first, and how many were looked at; or, for machines, as GET /timelines answers."""
    items = [sagas.listed(summary, clock.now(), table.rules.stuck_after) for summary in look.summaries]
    if as_json:
        print(msgspec.json.encode({"items": items, "read": look.read}).decode())
        return
    if not console.is_terminal:
        console.width = max(WIDE, console.width)  # a pipe or a file has room
    if items:
        console.print(_drawn(items, narrow=console.width < WIDE))
    console.print(Text(_counted(look), "dim"))


def _drawn(items: Sequence[Listed], narrow: bool) -> Table:
    """A narrow one has no years, and of each id as much as tells it from the others."""
    drawn = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for heading in ("started (UTC)", "ending", "took", "events", "id"):
        drawn.add_column(heading, justify="right" if heading in ("took", "events") else "left", no_wrap=True)
    drawn.add_column("last, and why", overflow="fold")
    ids = [item.id for item in items]
    length = next(it for it in range(8, 2000) if len({each[:it] for each in ids}) == len(ids)) if narrow else None
    for item in items:
        word, colour = ENDINGS[item.ending]
        gave_up = f"{item.give_ups} given up on; " if item.give_ups else ""
        reason = f": {plain(item.reason)}" if item.reason else ""
        drawn.add_row(
            item.started[5 if narrow else 0 : 19].replace("T", " "),
            Text(word, colour),
            duration(item.duration_ms),
            f"{item.event_count}{'+' if item.cut else ''}",
            Text(plain(item.id)[:length]),
            Text.assemble((gave_up, "red"), plain(item.last_type), reason),
        )
    return drawn


def _counted(look: Look) -> str:
    shown = f"{len(look.summaries)} saga{'' if len(look.summaries) == 1 else 's'}, of {look.read} looked at"
    return f"{shown}. There are older ones: LIMIT=100, or UNTIL=..., or ask for less" if look.last else shown


def _ending(text: str) -> Ending | None:
    named = {ending.lower(): ending for ending in Ending}
    if text and text.lower() not in named:
        raise OpsError(f"--ending {text!r} is none: write {', '.join(Ending)} (make: ENDING=stuck)")
    return named[text.lower()] if text else None


def _milliseconds(option: str, text: str) -> int | None:
    if not text:
        return None
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)", text)
    if not found:
        raise OpsError(f"{option} {text!r} is no duration: write 500ms, 2s or 5m (make: {option[2:].upper()}=2s)")
    return round(float(found[1]) * UNITS[found[2]])
