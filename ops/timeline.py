"""The table of a timeline's stack, read as its API reads it, and who is meant by the few characters one remembers."""

from __future__ import annotations

import boto3
import msgspec

from eventflow import clock, store
from ops import OpsError
from ops.stack import Stack
from timeline import sagas
from timeline.sagas import Saga, Summary, Timeline, Vocabulary
from timeline.search import Found, Wanted
from timeline.table import EVER, MOST_READ, Listings, Look, Rules, TimelineTable

SHORTEST = 6
"""Of a prefix: as for the API's `find`."""

LONGEST = 1000
"""Bytes of an id that a saga can have."""


def table_of(stack: Stack) -> TimelineTable:
    """Raises OpsError if the stack is no timeline."""
    # the functions' own client cannot ask SSO or STS, as a profile may want
    store.dynamodb = boto3.client("dynamodb")
    vocabulary = Vocabulary.of(*[stack.parameter(name) for name in ("GoodOutcomes", "BadOutcomes", "Compensations")])
    rules = Rules(vocabulary, stuck_after=int(stack.parameter("StuckAfterSeconds")) * 1000)
    return TimelineTable(stack.table("TimelineTable"), int(stack.parameter("Buckets")), rules)


def meant_by(text: str, table: TimelineTable, stack_name: str) -> tuple[Saga | None, Look]:
    """The saga of this id; or those of the newest whose id, whose trace's or one of whose events' ids begins so.

    Where that is only one, it is the saga, too. Raises OpsError if there is none.
    """
    nothing = Look((), 0, None)
    if len(text.encode()) <= LONGEST and (saga := table.saga(text)):
        return saga, nothing
    if len(text) < SHORTEST:
        raise OpsError(f"{stack_name} has no saga {text!r}: to find one, give {SHORTEST} characters of its id or more")
    found = look(table, EVER, Wanted(), 20, Found(text))
    if not found.summaries:
        raise OpsError(
            f"{stack_name} has no saga {text!r}, and of the newest {found.read} none whose id, whose trace's id or one "
            "of whose events' ids begins so: make sagas lists them. One of this moment appears within seconds, one "
            f"from before the timeline was there by: make replay SINCE=7d RULE={stack_name}"
        )
    return table.saga(found.summaries[0].id) if len(found.summaries) == 1 else None, found


def look(table: TimelineTable, between: Listings, wanted: Wanted, limit: int, find: Found | None) -> Look:
    """The newest sagas that are wanted, `limit` at most, of the newest MOST_READ."""
    found: list[Summary] = []
    read, after = 0, None
    while True:
        page = table.look(
            table.partitions(wanted.is_open), between, wanted, limit - len(found), clock.now(), after, find
        )
        found += page.summaries
        read, after = read + page.read, page.last
        if not after or len(found) == limit or read >= MOST_READ:
            return Look(found, read, after)


def told(saga: Saga, table: TimelineTable) -> Timeline:
    now = clock.now()
    return table.with_the_usual(sagas.told(saga, table.rules.vocabulary, now, table.rules.stuck_after), now)


def as_json(saga: Saga, table: TimelineTable) -> str:
    """As GET /timelines/{id} answers."""
    return msgspec.json.encode(told(saga, table)).decode()
