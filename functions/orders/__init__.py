"""Accepts orders and decides how they end."""
