"""What AWS does and ministack 1.5.33 does not, as far as EventFlow depends on it.

Each patch replaces functions in the emulator's modules; its docstring names what AWS does, and where it is said.
"""

from local.gaps.claims import join_claims_with_commas
from local.gaps.concurrency import queue_asynchronous_invocations
from local.gaps.deliveries import retry_event_deliveries, tell_why_invocations_failed
from local.gaps.entries import honour_time_and_trace_of_entries
from local.gaps.resources import accept_resources_without_effect, provision_archives


def close() -> None:
    """Close every gap."""
    retry_event_deliveries()
    queue_asynchronous_invocations()
    tell_why_invocations_failed()
    honour_time_and_trace_of_entries()
    join_claims_with_commas()
    provision_archives()
    accept_resources_without_effect()
