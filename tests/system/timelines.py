"""A deployed timeline add-on as its tests see it: its API, its table, its queue, and the bus that it listens to."""

import json
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any
from urllib.parse import quote, urlencode

from local.stack import deployed
from ops.people import Person

from .copies import deployed_again
from .shop import Answer, Shop
from .waiting import eventually

Event = dict[str, Any]
"""An entry of PutEvents, but for the bus: Source, DetailType, Detail (a dict), Time."""


@dataclass
class Timelines(Shop):
    """`stack` is the add-on's: `call` asks its API, `put_event` puts on the bus that it listens to."""

    @classmethod
    def at(cls, shop: Shop, name: str) -> "Timelines":
        """Those of the add-on that was deployed under this name."""
        stack = deployed(shop.cloud, name)
        elsewhere = {"ApiUrl": stack.outputs["TimelineApiUrl"], "EventBusName": stack.parameters["EventBusName"]}
        return cls(shop.cloud, replace(stack, outputs={**stack.outputs, **elsewhere}), shop.people, shop.ear)

    @contextmanager
    def attached_again(self, bus: str | None = None, **parameters: str) -> Iterator["Timelines"]:
        """The add-on once more, as it was built, with parameters of its own; it goes again afterwards.

        Without `bus` it listens to one of its own, on which there is nothing but what the test puts there.
        """
        events = self.cloud.client("events")
        name = f"t{uuid.uuid4().hex[:8]}-timeline"
        if not bus:
            events.create_event_bus(Name=name)
        try:
            with deployed_again(self.cloud, self.stack, name, {"EventBusName": bus or name, **parameters}):
                yield Timelines.at(self, name)
        finally:
            if not bus:
                events.delete_event_bus(Name=name)

    # Over HTTP

    def ask(self, saga_id: str, by: Person | None = None) -> Answer:
        return self.call("GET", f"/timelines/{quote(saga_id, safe='')}", by=by or self.people.operator)

    def until_told(self, saga_id: str, *detail_types: str) -> dict[str, Any]:
        """The saga's timeline, once these events are in it, and its summary knows them; it has no others."""

        def types(timeline: Any) -> list[str]:
            return sorted(event["type"] for event in timeline["events"])

        eventually(
            lambda: self.ask(saga_id),
            lambda seen: seen.status == 200 and types(seen.body) == sorted(detail_types),
        )
        self.until_at_rest()  # an event is kept before the summary is written
        told = dict(self.ask(saga_id).body)
        assert types(told) == sorted(detail_types)
        return told

    def until(self, saga_id: str, *statuses: str) -> str:
        def status() -> str:
            answer = self.ask(saga_id)
            return str(answer.body["status"]) if answer.status == 200 else f"HTTP {answer.status}"

        return eventually(status, lambda seen: seen in statuses)

    def listed(self, by: Person | None = None, **query: str) -> list[dict[str, Any]]:
        """The list, all pages of it."""
        items: list[dict[str, Any]] = []
        seen: set[str] = set()
        while query.get("cursor", "") not in seen:
            seen.add(query.get("cursor", ""))
            page = self.call("GET", f"/timelines?{urlencode(query)}", by=by or self.people.operator)
            assert page.status == 200, page
            items += page.body["items"]
            if "nextCursor" not in page.body:
                return items
            query["cursor"] = page.body["nextCursor"]
        raise AssertionError(f"the list goes round in circles: {query}")

    # On the bus

    @cached_property
    def events(self) -> Any:
        """One client for many calls: to make one takes longer than the call."""
        return self.cloud.client("events")

    def put(self, *events: Event) -> list[str]:
        """Put up to ten events at once; returns EventBridge's ids of them."""
        entries = [{**event, "Detail": json.dumps(event["Detail"])} for event in events]
        answer = self.events.put_events(Entries=[{"EventBusName": self.stack.event_bus, **entry} for entry in entries])
        assert answer["FailedEntryCount"] == 0, answer
        return [entry["EventId"] for entry in answer["Entries"]]

    # Behind the scenes

    def kept(self) -> dict[str, list[Mapping[str, str]]]:
        """The table's rows by partition, in order; each attribute's value as DynamoDB writes it."""
        pages = (
            self.cloud.client("dynamodb")
            .get_paginator("scan")
            .paginate(TableName=self.resources["TimelineTable"], ConsistentRead=True)
        )
        found: dict[str, list[Mapping[str, str]]] = {}
        for row in [{name: str(*it.values()) for name, it in item.items()} for page in pages for item in page["Items"]]:
            found.setdefault(row["sagaId"], []).append(row)
        return {partition: sorted(rows, key=lambda row: row["position"]) for partition, rows in found.items()}

    def until_at_rest(self) -> None:
        """Until every event that was put on the bus has been dealt with. (AWS lists no Express executions.)"""
        states, arn = self.cloud.client("stepfunctions"), self.resources["Keeper"]
        eventually(
            lambda: states.list_executions(stateMachineArn=arn, statusFilter="RUNNING")["executions"],
            lambda running: not running,
        )
