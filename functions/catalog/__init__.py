"""Keeps the products and their prices."""
