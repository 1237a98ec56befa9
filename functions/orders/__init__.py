"""Accepts orders and decides their fate."""
