"""Keeps stock levels; reserves stock for orders, and releases it."""
