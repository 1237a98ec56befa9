"""A deployed EventFlow, as CloudFormation describes it."""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

from ops import OpsError

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudformation.type_defs import StackTypeDef


@dataclass(frozen=True)
class Stack:
    """`resources` are those that exist: by type, as CloudFormation calls it, the physical id by logical id."""

    name: str
    outputs: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    resources: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @classmethod
    def named(cls, name: str, cloudformation: CloudFormationClient) -> Self:
        """Raises OpsError if there is none."""
        try:
            (description,) = cloudformation.describe_stacks(StackName=name)["Stacks"]
        except ClientError as error:
            if error.response["Error"]["Code"] != "ValidationError":
                raise
            raise _no_stack(name, cloudformation) from None
        return cls._described(description, cloudformation)

    @classmethod
    def with_timelines(cls, name: str, cloudformation: CloudFormationClient) -> list[Self]:
        """The stack of this name, then every timeline that listens to its bus, whatever the timeline's stack is called.

        A timeline is known by its output TimelineApiUrl, and its bus by its parameter EventBusName. One that is being
        deleted is left out. Raises OpsError if there is no stack of this name.
        """
        pages = cloudformation.get_paginator("describe_stacks").paginate()
        found = [stack for page in pages for stack in page["Stacks"]]
        described = next((stack for stack in found if stack["StackName"] == name), None)
        if not described:
            raise _no_stack(name, cloudformation)
        bus = _outputs(described).get("EventBusName")
        listening = [
            stack
            for stack in found
            if bus and _parameters(stack).get("EventBusName") == bus and "TimelineApiUrl" in _outputs(stack)
            if not _is_going(stack)
        ]
        timelines = sorted(listening, key=lambda stack: stack["StackName"])
        return [cls._described(stack, cloudformation) for stack in (described, *timelines)]

    @classmethod
    def timeline(cls, name: str | None, cloudformation: CloudFormationClient) -> Self:
        """The timeline that is meant by `name`: of the timeline's stack, or of the one whose bus it listens to.

        No name means `eventflow`, or the only timeline there is. Of several that listen to one bus, the one that
        samconfig.toml names after the stack is meant. Raises OpsError, which says what there is.
        """
        wanted = name or "eventflow"
        pages = cloudformation.get_paginator("describe_stacks").paginate()
        found = {stack["StackName"]: stack for page in pages for stack in page["Stacks"] if not _is_going(stack)}
        timelines = {each: stack for each, stack in found.items() if "TimelineApiUrl" in _outputs(stack)}
        named = found.get(wanted)
        if not named and (name or len(timelines) != 1):
            there = f"; timelines there: {', '.join(sorted(timelines))}" if timelines else ""
            raise OpsError(f"{_no_stack(wanted, cloudformation)}{there}")
        bus = _outputs(named).get("EventBusName") if named else None
        if named and named["StackName"] in timelines:
            meant = [named]
        elif bus:
            meant = [stack for stack in timelines.values() if _parameters(stack).get("EventBusName") == bus]
        else:
            meant = [] if named else list(timelines.values())
        if len(meant) > 1:
            meant = [stack for stack in meant if stack["StackName"] == f"{wanted}-timeline"] or meant
        if len(meant) != 1:
            which = " or ".join(f"STACK_NAME={each}" for each in sorted(stack["StackName"] for stack in meant))
            raise OpsError(
                f"several timelines listen to the bus of {wanted}: which? {which}"
                if meant
                else f"no timeline listens to the bus of {wanted}: attach one by make attach BUS=... (locally: make up)"
            )
        return cls._described(meant[0], cloudformation)

    @classmethod
    def _described(cls, description: StackTypeDef, cloudformation: CloudFormationClient) -> Self:
        name = description["StackName"]
        pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=name)
        resources: dict[str, dict[str, str]] = {}
        for resource in (it for page in pages for it in page["StackResourceSummaries"]):
            physical = resource.get("PhysicalResourceId")  # none yet, or none at all: its creation failed
            if physical and resource["ResourceStatus"] != "DELETE_COMPLETE":
                resources.setdefault(resource["ResourceType"], {})[resource["LogicalResourceId"]] = physical
        return cls(name, _outputs(description), _parameters(description), resources)

    def of_type(self, kind: str) -> Mapping[str, str]:
        """Physical by logical id, of a type as CloudFormation calls it."""
        return self.resources.get(kind, {})

    @property
    def rules(self) -> Mapping[str, str]:
        """Their names by logical id. The physical id of a rule on a bus of its own is <bus>|<name>."""
        return {logical: physical.rpartition("|")[2] for logical, physical in self.of_type("AWS::Events::Rule").items()}

    @property
    def tables(self) -> Mapping[str, str]:
        """Their names by logical id."""
        return self.of_type("AWS::DynamoDB::Table")

    @property
    def functions(self) -> Mapping[str, str]:
        """Their names by logical id."""
        return self.of_type("AWS::Lambda::Function")

    @property
    def aliases(self) -> Mapping[str, str]:
        """The ARNs of functions' aliases by logical id."""
        return self.of_type("AWS::Lambda::Alias")

    @property
    def state_machines(self) -> Mapping[str, str]:
        """Their ARNs by logical id."""
        return self.of_type("AWS::StepFunctions::StateMachine")

    @property
    def queues(self) -> Mapping[str, str]:
        """Their URLs by logical id."""
        return self.of_type("AWS::SQS::Queue")

    def output(self, name: str) -> str:
        """Raises OpsError if it has none of this name."""
        if name not in self.outputs:
            raise OpsError(f"stack {self.name} has no output {name}: is it EventFlow, and of this version?")
        return self.outputs[name]

    def parameter(self, name: str) -> str:
        """Raises OpsError if it has none of this name."""
        if name not in self.parameters:
            raise OpsError(f"stack {self.name} has no parameter {name}: is it a timeline, and of this version?")
        return self.parameters[name]

    def table(self, name: str) -> str:
        """Raises OpsError if it has none of this logical id."""
        if name not in self.tables:
            raise OpsError(
                f"stack {self.name} has no table {name}: is it the right stack (the shop or its timeline), and of this "
                "version?"
            )
        return self.tables[name]


def _is_going(stack: StackTypeDef) -> bool:
    return stack["StackStatus"].startswith("DELETE_")


def _outputs(stack: StackTypeDef) -> dict[str, str]:
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}


def _parameters(stack: StackTypeDef) -> dict[str, str]:
    return {each["ParameterKey"]: each["ParameterValue"] for each in stack.get("Parameters", [])}


def _no_stack(name: str, cloudformation: CloudFormationClient) -> OpsError:
    return OpsError(
        f"there is no stack {name} in {cloudformation.meta.region_name}: name it by --stack-name or $STACK_NAME, and "
        "its region by $AWS_DEFAULT_REGION (locally: `make up`, then `. .local/env`)"
    )


def runs_here(client: Any) -> bool:
    """Whether what a boto3 client speaks to is on this machine: the embedded cloud, not AWS."""
    return is_here(client.meta.endpoint_url)


def is_here(url: str) -> bool:
    """Whether a URL is of this machine."""
    host = urlsplit(url).hostname or ""
    return host in ("127.0.0.1", "::1", "localhost") or host.endswith(".localhost")


def require_running(endpoint_url: str) -> None:
    """Raises OpsError if that is on this machine and nothing listens there. boto3 would try for up to ten seconds."""
    if not is_here(endpoint_url):
        return
    url = urlsplit(endpoint_url)
    try:
        socket.create_connection((url.hostname or "", url.port or 80), timeout=1).close()
    except OSError:
        raise OpsError(
            "EventFlow does not run here: make up (for a stack on AWS, set AWS_PROFILE in a shell that has not sourced "
            ".local/env)"
        ) from None


def reachable(url: str, endpoint: str) -> str:
    """By which URL an API is reached whose stack says `url`, where `endpoint` is AWS's or the embedded cloud's.

    The latter serves https://<api>.execute-api... under a path of its own, which needs no DNS.
    """
    if not is_here(endpoint):
        return url
    return re.sub(r"^https://(\w+)\.execute-api\.[^/]+", rf"{endpoint}/_aws/execute-api/\1", url)
