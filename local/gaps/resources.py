"""What a stack may hold."""

import json
from typing import Any

from ministack.services import eventbridge
from ministack.services.cloudformation import provisioners

Json = dict[str, Any]

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
