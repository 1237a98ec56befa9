"""Keeps the products: what is sold, and at what price."""
