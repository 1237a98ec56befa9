"""The real Lambda handlers in a simulated AWS: one thread, one seed, and whatever can go wrong at any call.

docs/reliability.md says how it works, what must hold, and what is not simulated.
"""
