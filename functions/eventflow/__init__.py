"""The kernel: what every service of EventFlow is made of. It imports no service."""

import gc

# While libraries are imported, Python looks for garbage again and again, and finds none: a twentieth of a start
# (docs/performance.md). A function that has started has fewer objects than this.
gc.set_threshold(100_000)
