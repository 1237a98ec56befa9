"""The kernel: what every service of EventFlow is made of. It imports no service."""
