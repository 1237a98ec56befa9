"""A deployed stack once more, from the template that it was made of: quicker than another `sam deploy`."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from local.cloud import Cloud
from local.stack import Stack, deployed, is_deployed


@contextmanager
def deployed_again(cloud: Cloud, stack: Stack, name: str, parameters: Mapping[str, str]) -> Iterator[Stack]:
    """The stack under another name, its other parameters as they are; it goes again afterwards."""
    cloudformation, s3 = cloud.client("cloudformation"), cloud.client("s3")
    template = cloudformation.get_template(StackName=stack.name, TemplateStage="Original")["TemplateBody"]
    s3.create_bucket(Bucket="templates")  # CreateStack itself takes 51,200 bytes
    s3.put_object(Bucket="templates", Key=name, Body=template if isinstance(template, str) else json.dumps(template))
    cloudformation.create_stack(
        StackName=name,
        TemplateURL=f"{cloud.endpoint}/templates/{name}",
        Parameters=[
            {"ParameterKey": key, "ParameterValue": value} for key, value in {**stack.parameters, **parameters}.items()
        ],
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
    )
    cloudformation.get_waiter("stack_create_complete").wait(StackName=name, WaiterConfig={"Delay": 1})
    try:
        yield deployed(cloud, name)
    finally:
        delete_again(cloud, name)


def delete_again(cloud: Cloud, name: str) -> None:
    """Delete the stack, if it is still there, and wait until it has gone."""
    cloudformation = cloud.client("cloudformation")
    if is_deployed(cloud, name):
        cloudformation.delete_stack(StackName=name)
        cloudformation.get_waiter("stack_delete_complete").wait(StackName=name, WaiterConfig={"Delay": 1})


def changed(cloud: Cloud, stack: Stack, **parameters: str) -> Stack:
    """The stack with other values of these parameters, and all else as it was."""
    cloudformation = cloud.client("cloudformation")
    given = [{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()]
    kept = [{"ParameterKey": name, "UsePreviousValue": True} for name in stack.parameters.keys() - parameters.keys()]
    cloudformation.update_stack(
        StackName=stack.name,
        UsePreviousTemplate=True,
        Parameters=[*given, *kept],
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
    )
    cloudformation.get_waiter("stack_update_complete").wait(StackName=stack.name, WaiterConfig={"Delay": 1})
    return deployed(cloud, stack.name)
