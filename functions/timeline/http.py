"""The timelines over HTTP: operators see all, shoppers those of their own orders."""

from __future__ import annotations

import os
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import unquote

import msgspec

from eventflow import clock, telemetry
from eventflow.api import Answer, Api, Page, invalid, not_found
from eventflow.attributes import Attributes, to_attributes
from eventflow.store import Table
from timeline import sagas
from timeline.sagas import Status, Summary, Vocabulary

ROWS = Table(os.environ["TIMELINE_TABLE"], "sagaId", dict[str, Any])

SUMMARIES = Table(os.environ["TIMELINE_TABLE"], "sagaId", Summary)

VOCABULARY = Vocabulary.of(os.environ["OUTCOMES"], os.environ["COMPENSATIONS"])

OPERATOR_FIELDS = frozenset(filter(None, os.environ["OPERATOR_FIELDS"].split(",")))
"""What of an event's detail no shopper is shown."""

STUCK_AFTER = int(os.environ["STUCK_AFTER_SECONDS"]) * 1000

MOST_READS = 4
"""How many queries of one partition one request makes. What is not read by then, the next page goes on with."""

SIFTED = 250
"""How many summaries a query reads where only some of them are wanted."""

LONGEST_LISTING = 1024
"""In bytes: the longest sort key (DynamoDB Developer Guide, "Constraints")."""

api = Api()


# A foreign id may be any text, more than the router takes for a parameter; a REST API hands it on as it is in the URL.
@api.router.get("/timelines/.+")
def read() -> Answer[sagas.Timeline]:
    """Read what happened to an order: its events, and what led to what."""
    _, _, id_in_path = api.router.current_event.path.partition("/timelines/")
    saga_id = api.checked("sagaId", unquote(id_in_path), sagas.SagaId)
    telemetry.follow(saga_id)
    # newest first: of a saga that is too long, the summary and how it ended
    rows, more = ROWS.page(None, sagas.MOST_EVENTS + 1, partition=("sagaId", sagas.key_of(saga_id)), descending=True)
    saga, caller = sagas.read(rows, whole=not more), api.caller
    if saga is None or not (caller.operator or saga.summary.user_id == caller.user_id):
        raise not_found(f"timeline {saga_id}")
    hidden = frozenset() if caller.operator else OPERATOR_FIELDS
    return api.answer(sagas.told(saga, VOCABULARY, clock.now(), STUCK_AFTER, hidden))


class Position(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a page ended: at the last saga that was looked at, which may be one that is not on it."""

    listing: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{13}#", max_length=280)]


@api.router.get("/timelines")
def newest_first() -> Answer[Page[sagas.Listed]]:
    """List the sagas that the caller may see, newest first."""
    status = api.checked("status", api.query("status"), Status | None)
    limit, after, now = api.limit(), api.cursor(Position), clock.now()
    if after and len(after.listing.encode()) > LONGEST_LISTING:
        raise invalid("cursor", "not a cursor of this list: it is too long for one")
    since = max(0, int(datetime.fromisoformat(api.instant("from", "1970-01-01")).timestamp() * 1000))
    until = now - STUCK_AFTER if status is Status.STUCK else sagas.END_OF_TIME
    if since > until:
        return api.page([], None)
    between = sagas.listing_of(since), sagas.listing_of(until)
    if after and not between[0] <= after.listing <= between[1]:
        raise invalid("cursor", "not a cursor of this list: it ended outside of what is asked for")
    kept = {Status.DONE} if status is Status.DONE else {Status.OPEN} if status else {Status.OPEN, Status.DONE}
    caller = api.caller
    found: dict[str, Summary] = {}
    read_to = ""
    for partition in [("status", each) for each in kept] if caller.operator else [("userId", caller.user_id)]:
        some, end = _read(partition, between, after, kept, limit)
        found |= {summary.id: summary for summary in some}
        read_to = max(read_to, end)
    # beyond that, sagas of a partition that was not read so far may stand between these
    newest = sorted(
        (summary for summary in found.values() if summary.listing >= read_to),
        key=lambda summary: summary.listing,
        reverse=True,
    )
    page = newest[:limit]
    end = page[-1].listing if len(newest) > limit else read_to
    return api.page([sagas.listed(summary, now, STUCK_AFTER) for summary in page], Position(end) if end else None)


def _read(
    partition: tuple[str, str], between: tuple[str, str], after: Position | None, kept: set[Status], limit: int
) -> tuple[list[Summary], str]:
    """Summaries of an index's partition, newest first: `limit` or more, or as many as MOST_READS queries find.

    And the listing of the last one that was read, or nothing if that was the partition's last.
    """
    index = "byStatus" if partition[0] == "status" else "byUser"
    # of a shopper's sagas those of one status may be few and far between
    at_once = SIFTED if index == "byUser" and len(kept) == 1 else limit
    found: list[Summary] = []
    for _ in range(MOST_READS):
        some, more = SUMMARIES.page(
            index,
            at_once,
            partition=partition,
            between=("listing", *between),
            after=_key(after) if after else None,
            descending=True,
        )
        found += [summary for summary in some if summary.status in kept]
        if not (more and some):
            return found, ""
        after = Position(some[-1].listing)
        if len(found) >= limit:
            break
    return found, after.listing if after else ""


def _key(position: Position) -> Attributes:
    _, _, saga_id = position.listing.partition("#")
    return to_attributes({"listing": position.listing, "sagaId": sagas.key_of(saga_id), "position": sagas.SUMMARY})


handler = api.handler
