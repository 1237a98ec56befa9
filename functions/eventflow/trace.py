"""The trace that an invocation is part of, as a header that can be kept and handed on."""

from __future__ import annotations

import os

VARIABLE = "_X_AMZN_TRACE_ID"
"""Where Lambda tells a function which trace its invocation is part of."""


def current_trace() -> str | None:
    """The X-Ray header of this invocation: Root, Parent and Sampled alone.

    On AWS the variable may carry more (Lineage), which belongs to the hop and is not to be stored.
    """
    found = fields(os.environ.get(VARIABLE, ""))
    kept = [f"{name}={found[name]}" for name in ("Root", "Parent", "Sampled") if name in found]
    return ";".join(kept) if "Root" in found else None


def fields(header: str) -> dict[str, str]:
    """What an X-Ray header says, by name."""
    return dict(part.split("=", 1) for part in header.split(";") if "=" in part)


def traceparent(trace: str) -> str | None:
    """An X-Ray header as W3C Trace Context, or None where it names no parent.

    The ids are the same, spelled otherwise: https://www.w3.org/TR/trace-context/#traceparent-header
    """
    found = fields(trace)
    root = found["Root"].split("-")
    if len(root) != 3 or "Parent" not in found:
        return None
    sampled = "01" if found.get("Sampled") == "1" else "00"
    return f"00-{root[1]}{root[2]}-{found['Parent']}-{sampled}"
