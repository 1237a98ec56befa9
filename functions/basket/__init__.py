"""Keeps a basket for each shopper, and checks it out."""
