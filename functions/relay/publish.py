"""What a stream's records announce, and how it is packed for the bus."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from eventflow import clock
from eventflow.attributes import from_attributes
from eventflow.outbox import Announcement
from eventflow.trace import fit_to_keep

if TYPE_CHECKING:
    from mypy_boto3_events.type_defs import PutEventsRequestEntryTypeDef as Entry

MAX_ENTRIES = 10
MAX_REQUEST_BYTES = 256 * 1024
"""Limits of PutEvents: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevents.html"""


def announced(records: Iterable[Mapping[str, Any]]) -> Iterator[Announcement]:
    """What each record's write announced.

    A write that announces nothing must not publish what the row announced before: a repair by hand, say, leaves the
    announcement in place.
    """
    for record in records:
        new, old = (_announcement(record["dynamodb"].get(image)) for image in ("NewImage", "OldImage"))
        if new and (old is None or new.id != old.id):
            yield new


def _announcement(image: Mapping[str, Any] | None) -> Announcement | None:
    event = (image or {}).get("event")
    return from_attributes(event["M"], Announcement) if event else None


def entry(announcement: Announcement, bus: str) -> Entry:
    """As an entry for PutEvents: at the time it occurred, in the trace that it occurred in.

    Rows from before keep whatever a client called its trace: one that EventBridge refuses would block the shard.
    """
    put: Entry = {
        "EventBusName": bus,
        "Source": announcement.source,
        "DetailType": announcement.detail_type,
        "Time": clock.iso(announcement.occurred_at),
        "Detail": announcement.detail,
    }
    if trace := fit_to_keep(announcement.trace or ""):
        put["TraceHeader"] = trace
    return put


def batches(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    """Entries, in their order, as PutEvents takes them at once."""
    batch: list[Entry] = []
    size = 0
    for item in entries:
        bytes_ = _size(item)
        if batch and (len(batch) == MAX_ENTRIES or size + bytes_ > MAX_REQUEST_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(item)
        size += bytes_
    if batch:
        yield batch


def _size(item: Entry) -> int:
    """Bytes as EventBridge counts them: 14 for the time, and the UTF-8 of the texts (guide, "PutEvents size")."""
    texts = (item["Source"], item["DetailType"], item["Detail"])
    return 14 + sum(len(text.encode()) for text in texts)
