"""Tells the shopper what became of an order."""
