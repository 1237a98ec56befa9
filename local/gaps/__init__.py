"""What AWS does and ministack 1.5.33 does not, as far as EventFlow depends on it.

Each patch replaces functions in the emulator's modules; its docstring names what AWS does, and where it is said.
"""

from local.gaps.alarms import watch_an_alarms_own_metric
from local.gaps.calls import record_calls
from local.gaps.claims import join_claims_with_commas
from local.gaps.concurrency import queue_invocations
from local.gaps.deliveries import (
    bring_failed_messages_again_soon,
    retry_event_deliveries,
    tell_why_invocations_failed,
)
from local.gaps.entries import honour_time_and_trace_of_entries
from local.gaps.expressions import give_expressions_time, parse_expressions_once
from local.gaps.logs import honour_the_system_log_level
from local.gaps.permissions import tell_policies_what_is_put
from local.gaps.resources import (
    accept_resources_without_effect,
    give_transforms_the_parameters,
    keep_apis_when_their_definition_changes,
    provision_archives,
)
from local.gaps.sandboxes import keep_sandboxes_after_exceptions
from local.gaps.traces import hand_traces_to_queues, trace_invocations, trace_requests


def close() -> None:
    """Close every gap."""
    retry_event_deliveries()
    queue_invocations()
    tell_why_invocations_failed()
    keep_sandboxes_after_exceptions()
    bring_failed_messages_again_soon()
    honour_time_and_trace_of_entries()
    trace_invocations()
    trace_requests()
    hand_traces_to_queues()
    join_claims_with_commas()
    give_transforms_the_parameters()
    provision_archives()
    keep_apis_when_their_definition_changes()
    accept_resources_without_effect()
    tell_policies_what_is_put()
    parse_expressions_once()
    give_expressions_time()
    watch_an_alarms_own_metric()
    honour_the_system_log_level()
    record_calls()  # last: it sees what all others have made of a call
