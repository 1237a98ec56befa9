"""What a stack may hold."""

import json
from contextvars import ContextVar
from typing import Any

from ministack.services import apigateway_v1, eventbridge
from ministack.services.cloudformation import changesets, engine, handlers, provisioners
from samtranslator.translator import transform as sam

from local.gaps.context import holding

Json = dict[str, Any]

given: ContextVar[dict[str, str]] = ContextVar("given")
"""The parameters of the stack that is being transformed."""

WITHOUT_EFFECT_HERE = (
    "AWS::ApplicationInsights::Application",
    "AWS::CloudWatch::AnomalyDetector",
    "AWS::CloudWatch::CompositeAlarm",
    "AWS::CodeDeploy::Application",
    "AWS::CodeDeploy::DeploymentGroup",
    "AWS::EventSchemas::Discoverer",
    "AWS::EventSchemas::Registry",
    "AWS::EventSchemas::Schema",
    "AWS::Events::EventBusPolicy",
    "AWS::Logs::Delivery",
    "AWS::Logs::DeliveryDestination",
    "AWS::Logs::DeliverySource",
    "AWS::Logs::QueryDefinition",
    "AWS::ResourceGroups::Group",
    "AWS::XRay::Group",
    "AWS::XRay::SamplingRule",
)


def give_transforms_the_parameters() -> None:
    """SAM's transform is given the values of a stack's parameters (CloudFormation User Guide, "templateParameterValues"
    of macros), and writes some of them out: in an API's authorizers, say. The emulator gives it none, so that it takes
    their defaults.
    """
    apply, transform = engine._apply_transforms, sam.transform

    def apply_transforms(template: Json, provided: Any = None, previous: Any = None) -> Any:
        with holding(given, engine._transform_parameters(template, provided, previous)):
            return apply(template, provided, previous)

    def transform_with_parameters(template: Json, _parameters: Json, policies: Any) -> Any:
        return transform(template, given.get(), policies)

    sam.transform = transform_with_parameters
    for module in (engine, handlers, changesets):
        module._apply_transforms = apply_transforms


def provision_archives() -> None:
    """A stack may hold an archive (CloudFormation Template Reference, "AWS::Events::Archive"). The emulator
    has archives, but only in EventBridge's API.
    """

    def create(logical_id: str, properties: Json, stack: str) -> tuple[str, Json]:
        name = properties.get("ArchiveName") or provisioners._physical_name(stack, logical_id, max_len=48)
        request = {
            "ArchiveName": name,
            "EventSourceArn": properties["SourceArn"],
            "Description": properties.get("Description", ""),
            "EventPattern": json.dumps(properties["EventPattern"]) if "EventPattern" in properties else "",
            "RetentionDays": int(properties.get("RetentionDays", 0)),
        }
        status, _, body = eventbridge._create_archive(request)
        if status != 200:
            raise ValueError(f"AWS::Events::Archive {logical_id}: {body.decode()}")
        return name, {"Arn": json.loads(body)["ArchiveArn"], "ArchiveName": name}

    def delete(name: str, _properties: Json) -> None:
        eventbridge._delete_archive({"ArchiveName": name})

    provisioners._RESOURCE_HANDLERS["AWS::Events::Archive"] = {"create": create, "delete": delete}


def keep_apis_when_their_definition_changes() -> None:
    """An API whose Body changes keeps its id, and answers meanwhile (CloudFormation Template Reference,
    "AWS::ApiGateway::RestApi": an update without interruption; REST API Reference, "PutRestApi", mode `overwrite`). The
    emulator makes another API, and takes the first one away.
    """
    api = provisioners._RESOURCE_HANDLERS["AWS::ApiGateway::RestApi"]
    update = api["update"]

    def update_api(identifier: str, old: Json, new: Json, stack: str, logical_id: str) -> tuple[str, Json]:
        if new.get("Body") != old.get("Body"):
            other, _ = api["create"](logical_id, new, stack)
            routes, authorizers = apigateway_v1._resources, apigateway_v1._authorizers_v1
            authorizers[identifier] |= authorizers[other]  # first: the new routes name them
            routes[identifier] = routes[other]
            authorizers[identifier] = authorizers[other]
            apigateway_v1._delete_rest_api(other)
        answer: tuple[str, Json] = update(identifier, {**old, "Body": new.get("Body")}, new, stack, logical_id)
        return answer

    api["update"] = update_api


def accept_resources_without_effect() -> None:
    """CloudFormation knows more types than the emulator, which refuses the whole stack for one of them or for
    an alarm over metric math. Those that have no effect on one machine are taken, and do nothing.
    """

    def create(logical_id: str, _properties: Json, stack: str) -> tuple[str, Json]:
        name = provisioners._physical_name(stack, logical_id, max_len=64)
        return name, {"Arn": f"arn:aws:none:::{name}"}

    def delete(_name: str, _properties: Json) -> None:
        pass

    for kind in WITHOUT_EFFECT_HERE:
        provisioners._RESOURCE_HANDLERS.setdefault(kind, {"create": create, "delete": delete})

    alarm = provisioners._RESOURCE_HANDLERS["AWS::CloudWatch::Alarm"]
    create_real = alarm["create"]

    def create_alarm(logical_id: str, properties: Json, stack: str) -> Any:
        return (create if "Metrics" in properties else create_real)(logical_id, properties, stack)

    alarm["create"] = create_alarm
