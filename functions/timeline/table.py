"""The table of a timeline: the rows of one saga, and the summaries of many. The API reads it so, and so does `make`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from heapq import merge
from itertools import islice
from typing import Any

import msgspec

from eventflow.attributes import Attributes, to_attributes
from eventflow.store import Table
from timeline import flow, sagas
from timeline.sagas import Saga, SagaId, Summary, Timeline, Vocabulary
from timeline.search import Found, Wanted
from timeline.usual import usual

MOST_READ = 2000
"""How many sagas one look is about. What is not read by then, the next look goes on with."""

MOST_FOUND = 20
"""In how many sagas the events themselves are looked through for an id."""

AT_ONCE = 100
"""How many summaries are read by one call (DynamoDB's BatchGetItem takes no more)."""

USUAL_OF = 300
"""From how many sagas one saga's page knows what is usual."""

USUAL_FOR = 60_000
"""For how many milliseconds a sandbox goes by that."""

Partition = tuple[str, str]
"""Of an index: its key's name, and which."""

Listings = tuple[str, str]
"""From one to another (exclusive), as `sagas.listing_of` makes them of milliseconds."""


EVER: Listings = sagas.listing_of(0), sagas.listing_of(sagas.END_OF_TIME)


class Key(msgspec.Struct, frozen=True, rename="camel"):
    """What the indexes hold of a summary."""

    saga_id: str
    listing: str


class Rules(msgspec.Struct, frozen=True):
    """What the stack's parameters say of its sagas."""

    vocabulary: Vocabulary
    stuck_after: int
    """Milliseconds."""


class Look(msgspec.Struct, frozen=True):
    """The sagas that were wanted, newest first, and how many were read for that."""

    summaries: Sequence[Summary]
    read: int
    last: str | None
    """The listing of the last one that was read, if there are more."""


class TimelineTable:
    """`buckets`: over how many partitions of an index the list of all sagas is spread (the parameter Buckets)."""

    def __init__(self, name: str, buckets: int, rules: Rules) -> None:
        self.rules = rules
        self._buckets = buckets
        self._rows = Table(name, "sagaId", dict[str, Any])
        self._summaries = Table(name, "sagaId", Summary, at=("position", sagas.SUMMARY))
        self._keys = Table(name, "sagaId", Key)
        self._usual, self._usual_since = usual(()), -USUAL_FOR

    def saga(self, saga_id: SagaId) -> Saga | None:
        """Its newest events, and its summary."""
        most = sagas.MOST_EVENTS + 1
        rows, more = self._rows.page(None, most, partition=("sagaId", sagas.key_of(saga_id)), descending=True)
        return sagas.read(rows, whole=not more)

    def partitions(self, is_open: bool | None = None) -> list[Partition]:
        """Those that hold all sagas, or only those that are open, or only the others."""
        kinds = {None: ["open", "done"], True: ["open"], False: ["done"]}[is_open]
        return [("bucket", f"{kind}#{number}") for kind in kinds for number in range(self._buckets)]

    def look(
        self,
        partitions: Sequence[Partition],
        between: Listings,
        wanted: Wanted,
        limit: int,
        now: int,
        after: str | None = None,
        find: Found | None = None,
    ) -> Look:
        """The first `limit` sagas that are wanted, of MOST_READ at most; `after` is the last one of the look before."""
        found: list[Summary] = []
        read, last, looked_into = 0, "", 0
        # an index of all sagas has those that are open apart
        apart = Wanted(status=wanted.status) if partitions[0][0] == "bucket" else Wanted()
        at_once = limit + 1 if wanted == apart and not find else AT_ONCE
        for summary in self.newest(partitions, between, after, min(at_once, AT_ONCE)):
            if len(found) == limit or read == MOST_READ or looked_into == MOST_FOUND:
                return Look(found, read, last)
            read, last = read + 1, summary.listing
            if not wanted.holds(summary, self.rules.vocabulary, now, self.rules.stuck_after):
                continue
            if find and not find.is_id_of(summary):
                if not find.may_be_event_of(summary, self.rules.vocabulary):
                    continue
                looked_into += 1
                saga = self.saga(summary.id)
                if not (saga and find.is_event(saga.events)):
                    continue
            found.append(summary)
        return Look(found, read, None)

    def newest(
        self, partitions: Sequence[Partition], between: Listings, after: str | None = None, at_once: int = AT_ONCE
    ) -> Iterator[Summary]:
        """Summaries, newest first; `after` is the last one of the page before.

        They are read as they are asked for, `at_once` by a call. One that changes its partition meanwhile may be
        missed: the next look has it.
        """
        seen: set[str] = set()
        every = (self._newest_keys(partition, between, after, at_once) for partition in partitions)
        keys = merge(*every, key=lambda it: it.listing, reverse=True)
        while some := list(islice(keys, at_once)):
            ids = [key.saga_id for key in some if key.saga_id not in seen]
            seen.update(ids)
            there = self._summaries.read_many(ids) if ids else {}
            yield from (there[saga_id] for saga_id in ids if saga_id in there)

    def sample(
        self, partitions: Sequence[Partition], now: int, since: int | None = None, until: int | None = None
    ) -> flow.Sample:
        """The newest MOST_READ of the sagas that began from `since` to `until` (exclusive), in milliseconds."""
        end = now + 1 if until is None else min(until, now + 1)
        between = sagas.listing_of(since or 0), sagas.listing_of(end)
        # not by their listings: from 2286 on these are longer, and no longer sort as time does
        read = list(islice(self.newest(partitions, between), MOST_READ + 1)) if (since or 0) < end else []
        more = len(read) > MOST_READ
        return flow.Sample(
            cases=[self._case(summary, now) for summary in read[:MOST_READ]],
            oldest_open=[self._case(summary, now) for summary in self._oldest_open(between)] if more else (),
            since=since,
            until=None if until is None else end,
            more=more,
        )

    def with_the_usual(self, timeline: Timeline, now: int) -> Timeline:
        """The timeline, with what the newest sagas that ended say is usual. That is read once in USUAL_FOR."""
        if now - self._usual_since > USUAL_FOR:
            some = islice(self.newest(self.partitions(is_open=False), EVER), USUAL_OF)
            self._usual, self._usual_since = usual(self._case(summary, now) for summary in some), now
        return self._usual.added_to(timeline)

    def _oldest_open(self, between: Listings) -> list[Summary]:
        every = [
            self._keys.page("byBucket", flow.MOST_OPEN, partition=partition, between=("listing", *between))[0]
            for partition in self.partitions(is_open=True)
        ]
        oldest = islice(merge(*every, key=lambda it: it.listing), flow.MOST_OPEN)
        found = [key.saga_id for key in oldest]
        return list(self._summaries.read_many(found).values()) if found else []

    def _case(self, summary: Summary, now: int) -> flow.Case:
        return flow.Case.of(summary, self.rules.vocabulary, now, self.rules.stuck_after)

    def _newest_keys(self, partition: Partition, between: Listings, after: str | None, at_once: int) -> Iterator[Key]:
        """Of one partition. (DynamoDB's BETWEEN includes its end, and no listing is that.)"""
        index = "byUser" if partition[0] == "userId" else "byBucket"
        more = True
        while more:
            some, more = self._keys.page(
                index,
                at_once,
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
