"""What any service may announce."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

import msgspec

from eventflow.contracts import LAST_MOMENT, NOT_CARRIED, UNCARRIED, Fact, MalformedEvent, Metadata, OrderId

_UTF_8 = msgspec.Meta(pattern=r"^[^\ud800-\udfff]*$")
"""JSON may hold half a character (`"\\ud800"`), which no table and no event of ours can."""
_Carried = msgspec.Meta(pattern=rf"^[^{UNCARRIED}]*$")
_Id = Annotated[str, _Carried, msgspec.Meta(min_length=1, max_length=256)]
_Time = Annotated[int, msgspec.Meta(ge=0, le=LAST_MOMENT)]

T = TypeVar("T")


class StepFailed(Fact, frozen=True, kw_only=True):
    """A service vetoes the order.

    Its event may have any name that ends in `Failed`, so that a new service takes part in the saga with no change to
    an existing one. Orders reads it leniently, because an order whose veto was ignored would be sent. Only `orderId`
    must be right; a whole number names the order of that text. Of `metadata`, `eventId`, `occurredAt` and `causationId`
    are used where they can be. Of `reason`, the first 500 characters are kept.
    """

    order_id: Annotated[OrderId, _UTF_8]
    reason: str = ""
    """Why. The order's `reason` says it, where the shopper can read it."""

    def known_by(self, event_id: str) -> list[str]:
        return [event_id, self.order_id]  # of a producer that we do not know, who may give many events one id

    @classmethod
    def is_announced_by(cls, source: str, detail_type: str) -> bool:
        return detail_type.endswith("Failed")

    @classmethod
    def what_is_read(cls, detail: dict[str, Any], delivered: Metadata) -> dict[str, Any]:
        """`orderId`, and of the rest each part that can be used, in whatever version it is.

        A whole number names the order of that text (17 the order "17"). No other type names one: 17.0 is "17" to one
        producer and "17.0" to another.
        """
        metadata = detail.get("metadata")
        said = metadata if isinstance(metadata, dict) else {}
        fields = {
            "reason": NOT_CARRIED.sub("\ufffd", _usable(detail.get("reason"), str, "")),
            "metadata": {
                "eventId": _usable(said.get("eventId"), _Id, delivered.event_id),
                "occurredAt": _usable(said.get("occurredAt"), _Time, delivered.occurred_at),
                "causationId": _usable(said.get("causationId"), _Id, None),
            },
        }
        if "orderId" in detail:
            order_id = detail["orderId"]
            fields["orderId"] = str(order_id) if type(order_id) is int else order_id
        return fields


def _usable(value: Any, kind: Any, otherwise: T) -> Any | T:
    try:
        return msgspec.convert(value, kind)
    except MalformedEvent:
        return otherwise
