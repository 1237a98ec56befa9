"""What X-Ray makes of the documents that it is sent: a subsegment that comes on its own is put into its segment."""

import json
from typing import Any

Json = dict[str, Any]

MOST_WAITING = 10_000
"""How many parents' subsegments are kept whose segment has not come. That of a killed function never does."""


class Collector:
    def __init__(self) -> None:
        self._waiting: dict[str, list[Json]] = {}
        """Subsegments by their parent's id."""

    def take(self, datagram: bytes) -> Json | None:
        """A datagram as the daemon takes it: a line of header, and a document. Returns a segment that is complete.

        What a function records comes before the segment of its invocation, which is sent when that has ended.
        Raises ValueError if the datagram is none of X-Ray's.
        """
        document = json.loads(datagram.partition(b"\n")[2])
        if not isinstance(document, dict) or not {"id", "trace_id", "name", "start_time"} <= document.keys():
            raise ValueError("not a segment document")
        if document.get("type") != "subsegment":
            return self._complete(document)
        self._waiting.setdefault(document["parent_id"], []).append(document)
        if len(self._waiting) > MOST_WAITING:
            del self._waiting[next(iter(self._waiting))]
        return None

    def _complete(self, document: Json) -> Json:
        within = [*document.get("subsegments", []), *self._waiting.pop(document["id"], [])]
        return document | ({"subsegments": [self._complete(each) for each in within]} if within else {})
