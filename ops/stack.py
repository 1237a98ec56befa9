"""A deployed EventFlow, as CloudFormation describes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

from ops import OpsError

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient


@dataclass(frozen=True)
class Stack:
    """`rules` are the names of its EventBridge rules, by logical id."""

    name: str
    outputs: Mapping[str, str]
    rules: Mapping[str, str]

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
        return cls(
            name,
            {output["OutputKey"]: output["OutputValue"] for output in description.get("Outputs", [])},
            {
                # the physical id of a rule on a bus of its own is <bus>|<name>
                resource["LogicalResourceId"]: resource["PhysicalResourceId"].rpartition("|")[2]
                for resource in resources
                if resource["ResourceType"] == "AWS::Events::Rule"
            },
        )

    def output(self, name: str) -> str:
        """Raises OpsError if it has none of this name."""
        if name not in self.outputs:
            raise OpsError(f"stack {self.name} has no output {name}: is it EventFlow, and of this version?")
        return self.outputs[name]


def runs_here(client: Any) -> bool:
    """Whether what a boto3 client speaks to is on this machine: the embedded cloud, not AWS."""
    host = urlsplit(client.meta.endpoint_url).hostname or ""
    return host in ("127.0.0.1", "::1", "localhost") or host.endswith(".localhost")
