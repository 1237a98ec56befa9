"""What operators' commands announce."""

from __future__ import annotations

from typing import ClassVar

from eventflow.contracts import Fact


class EventRedriven(Fact, frozen=True, kw_only=True):
    """A function has handled an event that it had given up before: `make redrive` sent it again. `causationId` names
    that event.
    """

    SOURCE: ClassVar[str] = "eventflow.operations"

    order_id: str
    """The correlation id of the event that had failed."""
    service: str
    """The service that had given it up."""
    function: str
    """Its logical id."""
    outcome: str
    """`handled`."""
