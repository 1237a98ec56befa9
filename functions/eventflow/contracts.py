"""How an event is read, and what every event has: identity, cause, version.

The events themselves are in `eventflow.events`. A reader takes what it does not know (new fields) and refuses what
it cannot know the meaning of (a new major version), with an error that names it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Generic, Self, TypeVar

import msgspec

OrderId = Annotated[str, msgspec.Meta(min_length=1, max_length=64, description="The order's id.")]
UserId = Annotated[
    str, msgspec.Meta(min_length=1, max_length=128, description="The shopper's id: the `sub` of their token.")
]
ProductId = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._:-]{1,64}$(?!\n)", description="The product's id.")]
Quantity = Annotated[int, msgspec.Meta(ge=1, le=10_000, description="How many pieces.")]
MinorUnits = Annotated[
    int, msgspec.Meta(ge=0, description="Money, in the currency's smallest unit: 1999 is 19.99 USD.")
]
Currency = Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{3}$(?!\n)", description="As in ISO 4217: three letters.")]

LAST_MOMENT = 253_402_300_799_999
"""The last millisecond of the year 9999, in milliseconds since 1970: ISO 8601 has four digits for a year."""

UNCARRIED = r"\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff"
_HALF = re.compile("[\ud800-\udfff]")
NOT_CARRIED = re.compile(f"[{UNCARRIED}]")
"""What XML 1.0 cannot hold, and so no message of SQS: an event with such a text would be lost on its way to a queue.
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
(The other way round, what it can hold, takes 20 times as long to compile: Python goes through every character.)"""

MalformedEvent = msgspec.ValidationError
"""An event breaks its contract. The message says how, and ends in the path of the field (`$.detail.quantity`)."""


class Fact(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Something that happened: the business fields of an event, in the shape of its newest version.

    A subclass is one detail-type. `OLDER` maps each older major version to the shape it has on the wire; that
    shape's `newest()` upcasts it.
    """

    SOURCE: ClassVar[str]
    VERSION: ClassVar[str] = "1.0"
    OLDER: ClassVar[Mapping[int, type[OlderShape]]] = {}

    @classmethod
    def detail_type(cls) -> str:
        return cls.__name__

    @classmethod
    def is_announced_by(cls, source: str, detail_type: str) -> bool:
        return source == cls.SOURCE and detail_type == cls.detail_type()

    @classmethod
    def what_is_read(cls, detail: dict[str, Any], delivered: Metadata) -> dict[str, Any]:
        """The part of `detail` that has to keep the contract: all of it.

        A fact that must be heard whatever else is in its event leaves out what it cannot use. `delivered` is the
        identity and the time that EventBridge gave the event.
        """
        return detail

    @classmethod
    def read(cls, detail: Any, version: str) -> Self:
        """The fact that `detail` states in `version` ("1.0"): older majors upcast, unknown fields ignored.

        Raises MalformedEvent.
        """
        major = version.partition(".")[0]
        if major == cls.VERSION.partition(".")[0]:
            return msgspec.convert(detail, cls)
        for known, shape in cls.OLDER.items():
            if major == str(known):
                fact = msgspec.convert(detail, shape).newest()
                assert isinstance(fact, cls)
                return fact
        raise MalformedEvent(f"{cls.detail_type()}: major version of {version!r} is unknown here - at `$.version`")

    def on_the_wire(self) -> tuple[str, dict[str, Any]]:
        """The version this fact is published as, and its business fields."""
        return self.VERSION, msgspec.to_builtins(self)

    def known_by(self, event_id: str) -> list[str]:
        """What, together with source and type, tells this event from others: consumers hear one of a kind once."""
        return [event_id]

    @property
    def correlation_id(self) -> str | None:
        """What this fact is about, for those who follow it across services: the order's id, where there is one."""
        return getattr(self, "order_id", None)


class OlderShape(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A published older major version of a fact, as it is on the wire."""

    def newest(self) -> Fact:
        raise NotImplementedError


class Metadata(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """EventFlow's own part of an event's detail. An event of another producer comes without it."""

    event_id: Annotated[str, msgspec.Meta(min_length=1)]
    """Names the fact: published twice, it is the same."""
    occurred_at: int
    """When it occurred, in milliseconds since 1970."""
    correlation_id: str | None = None
    """What the event is about: the order's id, where there is one."""
    causation_id: str | None = None
    """The eventId of the event that led to this one."""
    traceparent: str | None = None
    """The trace that it belongs to, as W3C Trace Context has it."""


class _Header(msgspec.Struct, frozen=True, kw_only=True):
    """The part of `detail` that is read before its fields: whose version, which identity."""

    version: str = "1.0"
    metadata: Metadata | None = None


class _Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """What EventBridge hands to a target."""

    id: Annotated[str, msgspec.Meta(min_length=1)]
    source: str
    detail_type: str = msgspec.field(name="detail-type")
    detail: dict[str, Any]
    time: datetime | None = None


F_co = TypeVar("F_co", bound=Fact, covariant=True)


class Received(msgspec.Struct, Generic[F_co], frozen=True, kw_only=True):
    """A delivered event that keeps its contract."""

    fact: F_co
    source: str
    detail_type: str
    version: str
    """Of the shape that it was read as."""
    event_id: str
    """Names the fact, not the delivery: published twice, it is the same."""
    occurred_at: int
    """Milliseconds since 1970."""
    causation_id: str | None = None


def read_event(event: Any, *facts: type[F_co]) -> Received[F_co]:
    """A delivered EventBridge event as one of `facts`.

    Without `detail.metadata` its identity is EventBridge's own `id`, and it occurred when it was put.

    Raises MalformedEvent: not an event, none of `facts`, an unknown major version, or a field that is missing or of
    the wrong type, or a text that is no Unicode.
    """
    try:
        return _read_event(event, facts)
    except UnicodeEncodeError:
        where = next(_halves_of_characters(event), "$")
        raise MalformedEvent(f"{NO_TEXT} - at `{where}`") from None


NO_TEXT = "half a character (U+D800 to U+DFFF), which no text may hold"
"""JSON may (`"\\ud800"`), and EventBridge takes it; no table does."""


def _halves_of_characters(node: Any, path: str = "$") -> Iterator[str]:
    """The paths of the texts that have no UTF-8, and of what has such a name."""
    match node:
        case str() if _HALF.search(node):
            yield path
        case dict():
            for name, inner in node.items():
                yield from [path] if _HALF.search(name) else _halves_of_characters(inner, f"{path}.{name}")
        case list():
            for index, inner in enumerate(node):
                yield from _halves_of_characters(inner, f"{path}[{index}]")


def _read_event(event: Any, facts: tuple[type[F_co], ...]) -> Received[F_co]:
    delivery = msgspec.convert(event, _Delivery)
    known = [fact for fact in facts if fact.is_announced_by(delivery.source, delivery.detail_type)]
    if not known:
        taken = ", ".join(fact.detail_type() for fact in facts)
        raise MalformedEvent(
            f"{delivery.detail_type} of {delivery.source} is not accepted here, only {taken} - at `$.detail-type`"
        )
    put_at = delivery.time or datetime.now(UTC)
    delivered = Metadata(event_id=delivery.id, occurred_at=int(put_at.timestamp() * 1000))
    detail = known[0].what_is_read(delivery.detail, delivered)
    try:
        header = msgspec.convert(detail, _Header)
        fact = known[0].read(detail, header.version)
    except MalformedEvent as error:
        raise MalformedEvent(f"{delivery.detail_type}: {_in_detail(str(error))}") from None
    metadata = header.metadata or delivered
    if not 0 <= metadata.occurred_at <= LAST_MOMENT:
        raise MalformedEvent(f"Expected `int` from 0 to {LAST_MOMENT} - at `$.detail.metadata.occurredAt`")
    # what is not read may hold anything
    said = {"eventId": metadata.event_id, "causationId": metadata.causation_id} if header.metadata else {}
    read = {"id": delivery.id, "detail": {**msgspec.to_builtins(fact), "metadata": said}}
    for where in _halves_of_characters(read):
        raise MalformedEvent(f"{delivery.detail_type}: {NO_TEXT} - at `{where}`")
    return Received(
        fact=fact,
        source=delivery.source,
        detail_type=delivery.detail_type,
        version=header.version,
        event_id=metadata.event_id,
        occurred_at=metadata.occurred_at,
        causation_id=metadata.causation_id,
    )


def _in_detail(message: str) -> str:
    """msgspec names paths from where it began to read, and none at the top; a reader of the queue sees the event."""
    if "at `$" in message:
        return message.replace("at `$", "at `$.detail", 1)
    return f"{message} - at `$.detail`"
