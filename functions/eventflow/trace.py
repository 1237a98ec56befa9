"""The trace that an invocation is part of, as a header that can be kept and handed on."""

from __future__ import annotations

import os
import re

VARIABLE = "_X_AMZN_TRACE_ID"
"""Where Lambda tells a function which trace its invocation is part of."""


_KEPT = {
    "Root": re.compile(r"1-[0-9a-f]{8}-[0-9a-f]{24}"),
    "Parent": re.compile(r"[0-9a-f]{16}"),
    "Sampled": re.compile(r"[01?]"),
}
"""https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader"""


def current_trace() -> str | None:
    """The X-Ray header of this invocation, as `fit_to_keep`."""
    return fit_to_keep(os.environ.get(VARIABLE, ""))


def fit_to_keep(header: str) -> str | None:
    """Root, Parent and Sampled of an X-Ray header; None where X-Ray cannot have made it.

    The Root may be a client's word (X-Amzn-Trace-Id), of any length, and PutEvents refuses the whole call where a
    TraceHeader has more than 500 characters. On AWS there may be more in it (Lineage), which belongs to the hop.
    """
    found = fields(header)
    kept = {name: found[name] for name in _KEPT if name in found}
    if "Root" not in kept or not all(_KEPT[name].fullmatch(value) for name, value in kept.items()):
        return None
    return ";".join(f"{name}={value}" for name, value in kept.items())


def fields(header: str) -> dict[str, str]:
    """What an X-Ray header says, by name."""
    return dict(part.split("=", 1) for part in header.split(";") if "=" in part)


def traceparent(trace: str) -> str | None:
    """An X-Ray header that is fit to keep as W3C Trace Context, or None where it names no parent.

    The ids are the same, spelled otherwise: https://www.w3.org/TR/trace-context/#traceparent-header
    """
    found = fields(trace)
    if "Parent" not in found:
        return None
    _, *root = found["Root"].split("-")
    sampled = "01" if found.get("Sampled") == "1" else "00"
    return f"00-{''.join(root)}-{found['Parent']}-{sampled}"
