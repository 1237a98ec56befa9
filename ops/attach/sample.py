"""Events of a bus: from a file, or heard on it for a while."""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from ops import OpsError
from ops.attach.proposal import Event

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_sqs import SQSClient

PREFIX = "eventflow-attach-"
"""Of the rule and the queue, which are called alike; then when they were made, in seconds since 1970."""

STALE_SECONDS = 3600
"""After so long nobody listens any more: it is longer than anyone may listen."""

LONGEST_SECONDS = 900
MOST_EVENTS = 500
WAIT_SECONDS = 2


def read(file: Path) -> list[Event]:
    """One event, a list of them, or one to a line: as a rule's target gets it, or as PutEvents takes it.

    Raises OpsError.
    """
    try:
        text = file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise OpsError(f"{file} cannot be read: {error}") from None
    try:
        read = json.loads(text)
    except RecursionError:
        raise OpsError(f"{file} is nested too deep") from None
    except ValueError:
        try:
            read = [json.loads(line) for line in text.splitlines() if line.strip()]
        except ValueError as error:
            raise OpsError(f"{file} is no JSON, and no JSON to a line: {error}") from None
    events = [_event(it, number) for number, it in enumerate(read if isinstance(read, list) else [read], start=1)]
    if not events or not all(events):
        raise OpsError(
            f"{file} must hold events as a rule's target gets them (source, detail-type, detail), or entries of "
            "PutEvents (Source, DetailType, Detail)"
        )
    return [event for event in events if event]


def _event(read: Any, number: int) -> Event | None:
    """With an id and a time where it has none: a second after the one before."""
    found = dict(read) if isinstance(read, dict) else {}
    if {"Source", "DetailType", "Detail"} <= found.keys():
        detail = found["Detail"]
        try:
            detail = json.loads(detail) if isinstance(detail, str) else detail
        except ValueError:
            return None
        found = {
            "source": found["Source"],
            "detail-type": found["DetailType"],
            "detail": detail,
            "time": found.get("Time"),
        }
    if not isinstance(found.get("detail"), dict) or not all(
        isinstance(found.get(name), str) and found[name] for name in ("source", "detail-type")
    ):
        return None
    at = found.get("time") or f"{datetime.now(UTC) + timedelta(seconds=number):%Y-%m-%dT%H:%M:%SZ}"
    return {"id": f"sample-{number}", **found, "time": str(at)}


@contextmanager
def listening(
    bus: str, sources: Sequence[str], events: EventBridgeClient, sqs: SQSClient
) -> Iterator[Callable[[], list[Event]]]:
    """Gives what returns the events that came since it was called last, and waits for up to WAIT_SECONDS.

    A rule of its own sends them to a queue of its own, which takes them from that rule only. Both go when this ends,
    however it ends. Raises OpsError if there is no such bus.
    """
    name = f"{PREFIX}{int(time.time())}-{secrets.token_hex(3)}"
    wanted: list[Any] = [{"prefix": source} for source in sources] or [{"anything-but": {"prefix": "aws."}}]
    url = ""
    try:
        try:
            rule = events.put_rule(
                Name=name, EventBusName=bus, EventPattern=json.dumps({"source": wanted}), Description=MADE_BY
            )["RuleArn"]
        except events.exceptions.ResourceNotFoundException:
            raise OpsError(f"there is no bus {bus} in {events.meta.region_name}: make attach BUS=...") from None
        queue = re.sub(r":events:(.*):rule/.*", rf":sqs:\1:{name}", rule)
        policy = {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Service": "events.amazonaws.com"},
                    "Action": "sqs:SendMessage",
                    "Resource": queue,
                    "Condition": {"ArnEquals": {"aws:SourceArn": rule}},
                }
            ],
        }
        url = sqs.create_queue(
            QueueName=name,
            Attributes={
                "Policy": json.dumps(policy),
                "SqsManagedSseEnabled": "true",
                "MessageRetentionPeriod": str(LONGEST_SECONDS),
            },
        )["QueueUrl"]
        events.put_targets(Rule=name, EventBusName=bus, Targets=[{"Id": "ear", "Arn": queue}])
        yield lambda: _received(sqs, url)
    finally:
        _take_away(bus, name, url, events, sqs)


MADE_BY = "Made by `make attach`, which takes it away when it ends."


def _received(sqs: SQSClient, url: str) -> list[Event]:
    answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=WAIT_SECONDS)
    messages = answer.get("Messages", [])
    if messages:
        receipts: Any = [{"Id": str(n), "ReceiptHandle": it["ReceiptHandle"]} for n, it in enumerate(messages)]
        sqs.delete_message_batch(QueueUrl=url, Entries=receipts)
    return [json.loads(message["Body"]) for message in messages]


def _take_away(bus: str, name: str, url: str, events: EventBridgeClient, sqs: SQSClient) -> None:
    """The rule and the queue. Raises OpsError that says what is left; what is not there is no matter."""
    left = []
    try:
        events.remove_targets(Rule=name, EventBusName=bus, Ids=["ear"])
    except (BotoCoreError, ClientError):
        pass  # it has none yet; if it has one, the rule itself cannot be deleted
    try:
        events.delete_rule(Name=name, EventBusName=bus)
    except events.exceptions.ResourceNotFoundException:
        pass
    except (BotoCoreError, ClientError) as error:
        left.append(f"the rule {name} of the bus {bus} ({error})")
    try:
        if url:
            sqs.delete_queue(QueueUrl=url)
    except sqs.exceptions.QueueDoesNotExist:
        pass
    except (BotoCoreError, ClientError) as error:
        left.append(f"the queue {url} ({error})")
    if left:
        raise OpsError(f"these could not be removed: {'; '.join(left)}. The next `make attach` tries again in an hour")


def take_away_stale(bus: str, events: EventBridgeClient, sqs: SQSClient) -> list[str]:
    """Rules and queues that a crash left behind: their names."""
    pages = events.get_paginator("list_rules").paginate(EventBusName=bus, NamePrefix=PREFIX)
    rules = {rule["Name"]: "" for page in pages for rule in page["Rules"]}
    queues = sqs.get_paginator("list_queues").paginate(QueueNamePrefix=PREFIX)
    urls = {url.rpartition("/")[2]: url for page in queues for url in page.get("QueueUrls", [])}
    stale = {name: url for name, url in (rules | urls).items() if _is_stale(name)}
    for name, url in stale.items():
        _take_away(bus, name, url, events, sqs)
    return sorted(stale)


def _is_stale(name: str) -> bool:
    made = re.match(r"\d+", name.removeprefix(PREFIX))
    return bool(made) and time.time() - int(made[0] if made else 0) > STALE_SECONDS
