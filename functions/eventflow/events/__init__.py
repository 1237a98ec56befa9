"""The published language: every event on the bus, in its newest shape and, where it has one, its older shape.

An order of one product is version 1.0 on the wire, as the first consumers know it, and stays so; an order of several
is 2.0. Code knows only the newest shape: reading upcasts, publishing picks the version.
"""

from eventflow.events.anyone import StepFailed
from eventflow.events.basket import BasketCheckedOut, Shipping
from eventflow.events.catalog import ProductChanged, ProductRemoved
from eventflow.events.intake import PartnerOrder, PartnerOrderPlaced, PartnerOrderReceived
from eventflow.events.inventory import InventoryFailed, InventoryReleased, InventoryReserved
from eventflow.events.lines import MAX_LINES, Line, Lines, Pieces, ShortLine, refuse_repeated_products
from eventflow.events.operations import EventRedriven
from eventflow.events.orders import OrderCancelled, OrderConfirmed, OrderCreated
from eventflow.events.payment import PaymentFailed, PaymentRefunded, PaymentSucceeded

__all__ = [
    "MAX_LINES",
    "BasketCheckedOut",
    "EventRedriven",
    "InventoryFailed",
    "InventoryReleased",
    "InventoryReserved",
    "Line",
    "Lines",
    "OrderCancelled",
    "OrderConfirmed",
    "OrderCreated",
    "PartnerOrder",
    "PartnerOrderPlaced",
    "PartnerOrderReceived",
    "PaymentFailed",
    "PaymentRefunded",
    "PaymentSucceeded",
    "Pieces",
    "ProductChanged",
    "ProductRemoved",
    "Shipping",
    "ShortLine",
    "StepFailed",
    "refuse_repeated_products",
]
