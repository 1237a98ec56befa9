"""What a partner system announces, and what intake makes of it."""

from __future__ import annotations

from typing import Annotated, ClassVar

import msgspec

from eventflow.contracts import Fact, OrderId

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
_UpTo = msgspec.Meta(ge=0, le=1_000_000_000_000_000)
Amount = Annotated[int, _UpTo] | Annotated[float, _UpTo]
"""Limited: JSON has numbers that no table keeps (1e400)."""


class PartnerOrder(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """An order as microservice_x words it."""

    order_id: OrderId
    item: Text
    """What is ordered, in the partner's words."""
    amount: Amount
    """As the partner counts it; nothing computes with it."""
    is_member: bool
    """Whether the customer is a member at the partner's."""
    shipping_method: Text
    """How it is sent, in the partner's words."""


class PartnerOrderPlaced(Fact, frozen=True, kw_only=True):
    """An order of the partner's system, under the name and in the shape that it gives it."""

    SOURCE: ClassVar[str] = "microservice_x"

    body: PartnerOrder
    """The order, as the partner words it."""

    @classmethod
    def detail_type(cls) -> str:
        return "microservice_x_test_event"

    @property
    def correlation_id(self) -> str:
        return self.body.order_id


class PartnerOrderReceived(Fact, frozen=True, kw_only=True):
    """A partner's order is taken."""

    SOURCE: ClassVar[str] = "eventflow.intake"

    order_id: OrderId
    item: Text
    """What is ordered, in the partner's words."""
    amount: Amount
    """As the partner counts it; nothing computes with it."""
    is_member: bool
    """Whether the customer is a member at the partner's."""
    shipping_method: Text
    """How it is sent, in the partner's words."""
