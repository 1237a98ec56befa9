"""The timelines over HTTP: operators see all, shoppers those of their own orders."""

from __future__ import annotations

import os
from datetime import datetime
from typing import Annotated
from urllib.parse import unquote

import msgspec

from eventflow import clock, telemetry
from eventflow.api import Answer, Api, Page, invalid, not_found
from timeline import flow, sagas, told
from timeline.sagas import Vocabulary
from timeline.search import Found, Prefix, Wanted
from timeline.table import Rules, TimelineTable

BUCKETS = int(os.environ["BUCKETS"])
"""Over how many partitions of its index the list of all sagas is spread."""

VOCABULARY = Vocabulary.of(os.environ["GOOD_OUTCOMES"], os.environ["BAD_OUTCOMES"], os.environ["COMPENSATIONS"])

STUCK_AFTER = int(os.environ["STUCK_AFTER_SECONDS"]) * 1000

TABLE = TimelineTable(os.environ["TIMELINE_TABLE"], BUCKETS, Rules(VOCABULARY, STUCK_AFTER))

OPERATOR_FIELDS = frozenset(filter(None, os.environ["OPERATOR_FIELDS"].split(",")))
"""What of an event's detail no shopper is shown."""

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
    now = clock.now()
    saga, caller = TABLE.saga(saga_id), api.caller
    if saga is None or not (caller.operator or saga.summary.user_id == caller.user_id):
        raise not_found(f"timeline {saga_id}")
    hidden = frozenset() if caller.operator else OPERATOR_FIELDS
    told = sagas.told(saga, VOCABULARY, now, STUCK_AFTER, hidden, caller.operator)
    return api.answer(TABLE.with_the_usual(told, now) if caller.operator else told)


class Position(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a page ended: at the last saga that was looked at, which may be one that is not on it."""

    listing: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{13}#", max_length=280)]


@api.router.get("/timelines")
def newest_first() -> Answer[Page[sagas.Listed]]:
    """List the sagas that the caller may see, newest first."""
    limit, after, now, caller = api.limit(), api.cursor(Position), clock.now(), api.caller
    if after and len(after.listing.encode()) > LONGEST_LISTING:
        raise invalid("cursor", "not a cursor of this list: it is too long for one")
    wanted = _wanted()
    find = api.query("find")
    found = Found(api.checked("find", find, Prefix)) if find else None
    # no listing has more digits, and one of more would not sort as time does
    since, until = _moment("from", 0), min(_moment("to", sagas.END_OF_TIME), sagas.END_OF_TIME)
    if wanted.is_stuck:
        until = min(until, now - STUCK_AFTER)
    if since >= until:
        return api.page([], None, read=0)
    between = sagas.listing_of(since), sagas.listing_of(until)
    if after and not between[0] <= after.listing < between[1]:
        raise invalid("cursor", "not a cursor of this list: it ended outside of what is asked for")
    partitions = TABLE.partitions(wanted.is_open) if caller.operator else [("userId", caller.user_id)]
    look = TABLE.look(partitions, between, wanted, limit, now, after.listing if after else None, found)
    items = [sagas.listed(summary, now, STUCK_AFTER, caller.operator) for summary in look.summaries]
    return api.page(items, Position(look.last) if look.last else None, read=look.read)


PAGING = {"from", "to", "find", "limit", "cursor"}


def _wanted() -> Wanted:
    """What the query asks for. Raises Problem (400) that names a parameter which is wrong, or is none."""
    asked = dict(api.router.current_event.query_string_parameters or {})
    known = PAGING | {field.encode_name for field in msgspec.structs.fields(Wanted)}
    if unknown := sorted(asked.keys() - known):
        raise invalid(unknown[0], f"no parameter of this list; there are {', '.join(sorted(known))}")
    try:
        return msgspec.convert({name: asked[name] for name in asked.keys() - PAGING}, Wanted, strict=False)
    except msgspec.ValidationError as error:
        detail, _, path = str(error).partition(" - at `$.")
        raise invalid(path.strip("`"), detail) from None


def _moment(name: str, default: int) -> int:
    """The query's `name`, in milliseconds since 1970. Raises Problem (400)."""
    if not api.query(name):
        return default
    return max(0, int(datetime.fromisoformat(api.instant(name, "")).timestamp() * 1000))


WINDOW = {"from", "to", "againstFrom", "againstTo"}


@api.router.get("/flow")
def what_is_usual() -> Answer[told.Flow]:
    """Count what is usual: which event leads to which, on which paths, how fast, and how sagas end."""
    api.require_operator()
    if unknown := sorted((api.router.current_event.query_string_parameters or {}).keys() - WINDOW):
        raise invalid(unknown[0], f"no parameter of this; there are {', '.join(sorted(WINDOW))}")
    against = [name for name in ("againstFrom", "againstTo") if not api.query(name)]
    if len(against) == 1:
        raise invalid(against[0], "give both againstFrom and againstTo, or none")
    window = _sample("from", "to")
    return api.answer(flow.flow(window, None if against else _sample("againstFrom", "againstTo"), VOCABULARY.role))


def _sample(start: str, end: str) -> flow.Sample:
    """Of the window between what the query says under these names, where it does."""
    since, until = (_moment(name, 0) if api.query(name) else None for name in (start, end))
    return TABLE.sample(TABLE.partitions(), clock.now(), since, until)


handler = api.handler
