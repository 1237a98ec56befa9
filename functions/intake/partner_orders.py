"""A partner's order: the decision that the intake service takes."""

from __future__ import annotations

import msgspec

from eventflow.events import PartnerOrder, PartnerOrderReceived
from eventflow.transition import Change


class ContentDiffers(Exception):
    """An order id was used again for another order."""


def receive(existing: PartnerOrderReceived | None, order: PartnerOrder) -> Change[PartnerOrderReceived] | None:
    """Take an order, once. Raises ContentDiffers."""
    received = PartnerOrderReceived(**msgspec.structs.asdict(order))
    if existing is None:
        return Change(received, received)
    if existing != received:
        raise ContentDiffers(f"partner order {order.order_id} was received with other content")
    return None
