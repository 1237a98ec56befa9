"""The timelines over HTTP: operators see all, shoppers those of their own orders."""

from __future__ import annotations

import os
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import unquote

import msgspec

from eventflow import clock, telemetry
from eventflow.api import Api, Response, invalid, not_found
from eventflow.attributes import Attributes, to_attributes
from eventflow.store import Table
from timeline import sagas
from timeline.sagas import Status, Summary, Vocabulary

ROWS = Table(os.environ["TIMELINE_TABLE"], "sagaId", dict[str, Any])

SUMMARIES = Table(os.environ["TIMELINE_TABLE"], "sagaId", Summary)

VOCABULARY = Vocabulary.of(os.environ["OUTCOMES"], os.environ["COMPENSATIONS"])

STUCK_AFTER = int(os.environ["STUCK_AFTER_SECONDS"]) * 1000

api = Api()


# A foreign id may be any text, more than the router takes for a parameter; a REST API hands it on as it is in the URL.
@api.router.get("/timelines/.+")
def read() -> Response[str]:
    _, _, id_in_path = api.router.current_event.path.partition("/timelines/")
    saga_id = api.checked("sagaId", unquote(id_in_path), sagas.SagaId)
    telemetry.follow(saga_id)
    # newest first: of a saga that is too long, the summary and how it ended
    rows, more = ROWS.page(None, sagas.MOST_EVENTS + 1, partition=("sagaId", sagas.key_of(saga_id)), descending=True)
    saga, caller = sagas.read(rows, whole=not more), api.caller
    if saga is None or not (caller.operator or saga.summary.user_id == caller.user_id):
        raise not_found(f"timeline {saga_id}")
    return api.answer(sagas.told(saga, VOCABULARY, clock.now(), STUCK_AFTER))


class Position(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The last saga of a page."""

    listing: Annotated[str, msgspec.Meta(pattern=r"^\d{13}#", max_length=280)]


@api.router.get("/timelines")
def newest_first() -> Response[str]:
    status = api.checked("status", api.query("status"), Status | None)
    limit, after, now = api.limit(), api.cursor(Position), clock.now()
    since = datetime.fromisoformat(api.instant("from", "1970-01-01"))
    between = (
        sagas.listing_of(max(0, int(since.timestamp() * 1000))),
        sagas.listing_of(now - STUCK_AFTER if status is Status.STUCK else sagas.END_OF_TIME),
    )
    if between[0] > between[1]:
        return api.page([], None)
    if after and not between[0] <= after.listing <= between[1]:
        raise invalid("cursor", "not a cursor of this list: it ended outside of what is asked for")
    kept = {Status.DONE} if status is Status.DONE else {Status.OPEN} if status else {Status.OPEN, Status.DONE}
    caller = api.caller
    found: dict[str, Summary] = {}
    more = False
    for partition in [("status", each) for each in kept] if caller.operator else [("userId", caller.user_id)]:
        page, rest = _page(partition, between, after, kept, limit)
        found |= {summary.id: summary for summary in page}
        more = more or rest
    newest = sorted(found.values(), key=lambda summary: summary.listing, reverse=True)
    items = [sagas.listed(summary, now, STUCK_AFTER) for summary in newest[:limit]]
    more = more or len(newest) > limit
    return api.page(items, Position(newest[len(items) - 1].listing) if more and items else None)


def _page(
    partition: tuple[str, str], between: tuple[str, str], after: Position | None, kept: set[Status], limit: int
) -> tuple[list[Summary], bool]:
    """`limit` summaries or more of an index's partition, newest first; and whether there are yet more."""
    index = "byStatus" if partition[0] == "status" else "byUser"
    found: list[Summary] = []
    more = True
    while more and len(found) < limit:
        page, more = SUMMARIES.page(
            index,
            limit,
            partition=partition,
            between=("listing", *between),
            after=_key(after) if after else None,
            descending=True,
        )
        found += [summary for summary in page if summary.status in kept]
        after = Position(page[-1].listing) if page else after
    return found, more


def _key(position: Position) -> Attributes:
    _, _, saga_id = position.listing.partition("#")
    return to_attributes({"listing": position.listing, "sagaId": sagas.key_of(saga_id), "position": sagas.SUMMARY})


handler = api.handler
