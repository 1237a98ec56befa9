"""What the functions called, next to what the template lets them call."""

from __future__ import annotations

from collections.abc import Iterator

from .cloud import Cloud

Use = tuple[str, str, str]
"""(function, action, resource): an index is Table/index/name."""

STREAM = "Lambda's poller reads the stream in the function's name"
QUEUE = "Lambda's poller reads the queue in the function's name"
RACE = "it reads after two lost races only"

NOT_USED = {
    ("dynamodb:DescribeStream", "RelayFunction"): STREAM,
    ("dynamodb:GetRecords", "RelayFunction"): STREAM,
    ("dynamodb:GetShardIterator", "RelayFunction"): STREAM,
    ("dynamodb:ListStreams", "RelayFunction"): STREAM,
    ("sqs:ReceiveMessage", "OrdersCheckoutsFunction"): QUEUE,
    ("sqs:DeleteMessage", "OrdersCheckoutsFunction"): QUEUE,
    ("sqs:GetQueueAttributes", "OrdersCheckoutsFunction"): QUEUE,
    ("dynamodb:GetItem", "IntakeFunction"): RACE,
    ("dynamodb:GetItem", "OrdersCheckoutsFunction"): RACE,
}
"""Grants without a call of the handler's own, and who needs them. (Lambda needs that of the bus, for its records.)"""


def of(cloud: Cloud) -> set[Use]:
    return {(name, *grant) for name, it in cloud.functions.items() for grant in it.grants}


def wrong(cloud: Cloud, used: set[Use]) -> Iterator[str]:
    """Calls without a grant, and grants without a call."""
    for function, action, resource in sorted(used - of(cloud)):
        yield f"{function} calls {action} on {resource}, and may not"
    for function, action, resource in sorted(of(cloud) - used):
        for_lambda = action == "events:PutEvents" and resource == cloud.functions[function].on_failure
        if not for_lambda and (action, function) not in NOT_USED:
            yield f"{function} may call {action} on {resource}, and never does"
