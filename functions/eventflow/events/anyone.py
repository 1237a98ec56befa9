"""What any service may announce."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from eventflow.contracts import Fact, OlderShape, OrderId


class StepFailedV1(OlderShape, frozen=True, kw_only=True):
    order_id: OrderId
    reason: str = ""

    def newest(self) -> StepFailed:
        return StepFailed(order_id=self.order_id, reason=self.reason)


class StepFailed(Fact, frozen=True, kw_only=True):
    """What orders reads of any event whose detail-type ends in `Failed`: a service vetoes the order.

    Read by suffix, so that a new service takes part in the saga with no change to an existing one.
    """

    VERSION: ClassVar[str] = "2.0"
    OLDER: ClassVar[Mapping[int, type[OlderShape]]] = {1: StepFailedV1}

    order_id: OrderId
    reason: str = ""

    @classmethod
    def is_announced_by(cls, source: str, detail_type: str) -> bool:
        return detail_type.endswith("Failed")
