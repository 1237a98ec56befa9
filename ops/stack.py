"""A deployed EventFlow, as CloudFormation describes it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

from ops import OpsError

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient


@dataclass(frozen=True)
class Stack:
    """By logical id: `rules`, `tables` and `functions` are names, `queues` URLs, `state_machines` ARNs."""

    name: str
    outputs: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    rules: Mapping[str, str] = field(default_factory=dict)
    tables: Mapping[str, str] = field(default_factory=dict)
    functions: Mapping[str, str] = field(default_factory=dict)
    state_machines: Mapping[str, str] = field(default_factory=dict)
    queues: Mapping[str, str] = field(default_factory=dict)
    resources: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """All of them: by type, as CloudFormation calls it, the physical id by logical id."""

    @classmethod
    def named(cls, name: str, cloudformation: CloudFormationClient) -> Self:
        """Raises OpsError if there is none."""
        try:
            (description,) = cloudformation.describe_stacks(StackName=name)["Stacks"]
        except ClientError as error:
            if error.response["Error"]["Code"] != "ValidationError":
                raise
            where = cloudformation.meta.region_name
            raise OpsError(
                f"there is no stack {name} in {where}: name it by --stack-name or $STACK_NAME, and its region by "
                "$AWS_DEFAULT_REGION (locally: `make up`, then `. .local/env`)"
            ) from None
        pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=name)
        resources = [resource for page in pages for resource in page["StackResourceSummaries"]]

        def names(kind: str) -> dict[str, str]:
            return {it["LogicalResourceId"]: it["PhysicalResourceId"] for it in resources if it["ResourceType"] == kind}

        return cls(
            name,
            {output["OutputKey"]: output["OutputValue"] for output in description.get("Outputs", [])},
            {each["ParameterKey"]: each["ParameterValue"] for each in description.get("Parameters", [])},
            # the physical id of a rule on a bus of its own is <bus>|<name>
            {logical: physical.rpartition("|")[2] for logical, physical in names("AWS::Events::Rule").items()},
            names("AWS::DynamoDB::Table"),
            names("AWS::Lambda::Function"),
            names("AWS::StepFunctions::StateMachine"),
            names("AWS::SQS::Queue"),
            {kind: names(kind) for kind in {it["ResourceType"] for it in resources}},
        )

    @classmethod
    def with_add_on(cls, name: str, cloudformation: CloudFormationClient) -> list[Self]:
        """The stack of this name and, where it is deployed, its timeline. Raises OpsError if there is no stack."""
        stacks = [cls.named(name, cloudformation)]
        with suppress(OpsError):
            stacks.append(cls.named(f"{name}-timeline", cloudformation))
        return stacks

    def output(self, name: str) -> str:
        """Raises OpsError if it has none of this name."""
        if name not in self.outputs:
            raise OpsError(f"stack {self.name} has no output {name}: is it EventFlow, and of this version?")
        return self.outputs[name]

    def table(self, name: str) -> str:
        """Raises OpsError if it has none of this logical id."""
        if name not in self.tables:
            raise OpsError(f"stack {self.name} has no table {name}: is it a timeline, and of this version?")
        return self.tables[name]


def runs_here(client: Any) -> bool:
    """Whether what a boto3 client speaks to is on this machine: the embedded cloud, not AWS."""
    return is_here(client.meta.endpoint_url)


def is_here(url: str) -> bool:
    """Whether a URL leads to this machine."""
    host = urlsplit(url).hostname or ""
    return host in ("127.0.0.1", "::1", "localhost") or host.endswith(".localhost")


def reachable(url: str, endpoint: str) -> str:
    """By which URL an API is reached whose stack says `url`, where `endpoint` is AWS's or the embedded cloud's.

    The latter serves https://<api>.execute-api... under a path of its own, which needs no DNS.
    """
    if not is_here(endpoint):
        return url
    return re.sub(r"^https://(\w+)\.execute-api\.[^/]+", rf"{endpoint}/_aws/execute-api/\1", url)
