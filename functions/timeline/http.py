"""The timelines over HTTP: operators see all, shoppers those of their own orders."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from datetime import datetime
from heapq import merge
from itertools import islice
from typing import Annotated, Any
from urllib.parse import unquote

import msgspec

from eventflow import clock, telemetry
from eventflow.api import Api, Caller, Response, invalid, not_found
from eventflow.attributes import Attributes, to_attributes
from eventflow.store import Table
from timeline import flow, sagas
from timeline.sagas import Summary, Vocabulary
from timeline.search import Found, Prefix, Wanted

ROWS = Table(os.environ["TIMELINE_TABLE"], "sagaId", dict[str, Any])

SUMMARIES = Table(os.environ["TIMELINE_TABLE"], "sagaId", Summary, at=("position", sagas.SUMMARY))


class Key(msgspec.Struct, frozen=True, rename="camel"):
    """What the indexes hold of a summary."""

    saga_id: str
    listing: str


KEYS = Table(os.environ["TIMELINE_TABLE"], "sagaId", Key)

BUCKETS = int(os.environ["BUCKETS"])
"""Over how many partitions of its index the list of all sagas is spread."""

VOCABULARY = Vocabulary.of(os.environ["GOOD_OUTCOMES"], os.environ["BAD_OUTCOMES"], os.environ["COMPENSATIONS"])

OPERATOR_FIELDS = frozenset(filter(None, os.environ["OPERATOR_FIELDS"].split(",")))
"""What of an event's detail no shopper is shown."""

STUCK_AFTER = int(os.environ["STUCK_AFTER_SECONDS"]) * 1000

MOST_READ = 2000
"""How many sagas one request looks at. What is not read by then, the next page goes on with."""

MOST_FOUND = 20
"""In how many sagas the events themselves are looked through for an id."""

AT_ONCE = 100
"""How many summaries are read by one call (DynamoDB's BatchGetItem takes no more)."""

LONGEST_LISTING = 1024
"""In bytes: the longest sort key (DynamoDB Developer Guide, "Constraints")."""

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
    hidden = frozenset() if caller.operator else OPERATOR_FIELDS
    return api.answer(sagas.told(saga, VOCABULARY, clock.now(), STUCK_AFTER, hidden, caller.operator))


class Position(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a page ended: at the last saga that was looked at, which may be one that is not on it."""

    listing: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{13}#", max_length=280)]


@api.router.get("/timelines")
def newest_first() -> Response[str]:
    limit, after, now, caller = api.limit(), api.cursor(Position), clock.now(), api.caller
    if after and len(after.listing.encode()) > LONGEST_LISTING:
        raise invalid("cursor", "not a cursor of this list: it is too long for one")
    wanted = _wanted()
    find = api.query("find")
    found = Found(api.checked("find", find, Prefix)) if find else None
    since, until = _moment("from", 0), _moment("to", sagas.END_OF_TIME)
    if wanted.is_stuck:
        until = min(until, now - STUCK_AFTER)
    if since >= until:
        return api.page([], None, read=0)
    between = sagas.listing_of(since), sagas.listing_of(until)
    if after and not between[0] <= after.listing < between[1]:
        raise invalid("cursor", "not a cursor of this list: it ended outside of what is asked for")
    items: list[sagas.Listed] = []
    read, more, last = 0, True, ""
    looked_into = 0
    for summary in newest(_partitions(caller, wanted.is_open), between, after.listing if after else None):
        if len(items) == limit or read == MOST_READ or looked_into == MOST_FOUND:
            break
        read, last = read + 1, summary.listing
        if not wanted.holds(summary, VOCABULARY, now, STUCK_AFTER):
            continue
        if found and not found.is_id_of(summary):
            if not found.may_be_event_of(summary, VOCABULARY):
                continue
            looked_into += 1
            rows, _ = ROWS.page(None, sagas.MOST_EVENTS + 1, partition=("sagaId", summary.saga_id))
            saga = sagas.read(rows)
            if not (saga and found.is_event(saga.events)):
                continue
        items.append(sagas.listed(summary, now, STUCK_AFTER, caller.operator))
    else:
        more = False
    return api.page(items, Position(last) if more else None, read=read)


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


def _partitions(caller: Caller, is_open: bool | None) -> list[tuple[str, str]]:
    """Those of an index that hold what a caller may see; of all sagas, only those that are open or only others."""
    if not caller.operator:
        return [("userId", caller.user_id)]
    kinds = {None: ["open", "done"], True: ["open"], False: ["done"]}[is_open]
    return [("bucket", f"{kind}#{number}") for kind in kinds for number in range(BUCKETS)]


def newest(
    partitions: Sequence[tuple[str, str]], between: tuple[str, str], after: str | None = None
) -> Iterator[Summary]:
    """Summaries of sagas that began in [from, to) of listings, newest first; `after` is the last one of the page before.

    They are read as they are asked for. One that changes its partition meanwhile may be missed: the next look has it.
    """
    seen: set[str] = set()
    keys = merge(*(_keys(it, between, after) for it in partitions), key=lambda it: it.listing, reverse=True)
    while some := [key for key in islice(keys, AT_ONCE) if key.saga_id not in seen]:
        seen |= {key.saga_id for key in some}
        there = SUMMARIES.read_many(key.saga_id for key in some)
        yield from (there[key.saga_id] for key in some if key.saga_id in there)


def _keys(partition: tuple[str, str], between: tuple[str, str], after: str | None) -> Iterator[Key]:
    """Of one partition of an index, newest first. (DynamoDB's BETWEEN includes its end, and no listing is that.)"""
    index = "byUser" if partition[0] == "userId" else "byBucket"
    more = True
    while more:
        some, more = KEYS.page(
            index,
            AT_ONCE,
            partition=partition,
            between=("listing", *between),
            after=_key(after) if after else None,
            descending=True,
        )
        yield from some
        after = some[-1].listing if some else after


def _key(listing: str) -> Attributes:
    _, _, saga_id = listing.partition("#")
    return to_attributes({"listing": listing, "sagaId": sagas.key_of(saga_id), "position": sagas.SUMMARY})


WINDOW = {"from", "to", "againstFrom", "againstTo"}


@api.router.get("/flow")
def what_is_usual() -> Response[str]:
    api.require_operator()
    if unknown := sorted((api.router.current_event.query_string_parameters or {}).keys() - WINDOW):
        raise invalid(unknown[0], f"no parameter of this; there are {', '.join(sorted(WINDOW))}")
    against = [name for name in ("againstFrom", "againstTo") if not api.query(name)]
    if len(against) == 1:
        raise invalid(against[0], "give both againstFrom and againstTo, or none")
    window = _sample("from", "to")
    return api.answer(flow.flow(window, None if against else _sample("againstFrom", "againstTo"), VOCABULARY.role))


def _sample(start: str, end: str) -> flow.Sample:
    """The newest sagas between what the query says under these names, and the oldest of them that are open."""
    now = clock.now()
    since, until = _moment(start, 0), min(_moment(end, now + 1), now + 1)
    between = sagas.listing_of(since), sagas.listing_of(until)
    if since >= until:
        read: list[Summary] = []
    else:
        read = list(islice(newest(_partitions(api.caller, None), between), MOST_READ + 1))
    return flow.Sample(
        cases=[_case(summary, now) for summary in read[:MOST_READ]],
        oldest_open=[_case(summary, now) for summary in _oldest_open(between)] if len(read) > MOST_READ else (),
        since=since if api.query(start) else None,
        until=until if api.query(end) else None,
        more=len(read) > MOST_READ,
    )


def _oldest_open(between: tuple[str, str]) -> list[Summary]:
    partitions = [
        KEYS.page("byBucket", flow.MOST_OPEN, partition=partition, between=("listing", *between))[0]
        for partition in _partitions(api.caller, True)
    ]
    oldest = islice(merge(*partitions, key=lambda it: it.listing), flow.MOST_OPEN)
    return list(SUMMARIES.read_many(key.saga_id for key in oldest).values())


def _case(summary: Summary, now: int) -> flow.Case:
    return flow.Case.of(summary, VOCABULARY, now, STUCK_AFTER)


handler = api.handler
