"""Charges for orders, and refunds them, through a payment gateway."""
