"""What becomes of an order's payment and reservation, by the end of the order: one of these."""

PAID = {
    "CONFIRMED": {"SUCCEEDED"},
    "PAYMENT_FAILED": {"FAILED", "CANCELLED"},
    "INVENTORY_FAILED": {"REFUNDED", "CANCELLED", "FAILED"},
    "CANCELLED": {"REFUNDED", "CANCELLED", "FAILED"},
}
"""What an order's payment may be, by the order's end. The undo comes after the end, so it is waited for."""

SET_ASIDE = {
    "CONFIRMED": {"RESERVED"},
    "PAYMENT_FAILED": {"RELEASED", "CANCELLED", "REFUSED"},
    "INVENTORY_FAILED": {"REFUSED"},
    "CANCELLED": {"RELEASED", "CANCELLED", "REFUSED"},
}
"""What its reservation may be."""
