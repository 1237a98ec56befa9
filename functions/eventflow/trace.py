"""The trace that an invocation is part of, as a header that can be kept and handed on."""

from __future__ import annotations

import os


def current_trace() -> str | None:
    """The X-Ray header of this invocation: Root, Parent and Sampled alone.

    On AWS the variable may carry more (Lineage), which belongs to the hop and is not to be stored.
    """
    fields = dict(part.split("=", 1) for part in os.environ.get("_X_AMZN_TRACE_ID", "").split(";") if "=" in part)
    kept = [f"{name}={fields[name]}" for name in ("Root", "Parent", "Sampled") if name in fields]
    return ";".join(kept) if "Root" in fields else None


def traceparent(trace: str) -> str | None:
    """An X-Ray header as W3C Trace Context, or None where it names no parent.

    The ids are the same, spelled otherwise: https://www.w3.org/TR/trace-context/#traceparent-header
    """
    fields = dict(part.split("=", 1) for part in trace.split(";"))
    root = fields["Root"].split("-")
    if len(root) != 3 or "Parent" not in fields:
        return None
    sampled = "01" if fields.get("Sampled") == "1" else "00"
    return f"00-{root[1]}{root[2]}-{fields['Parent']}-{sampled}"
