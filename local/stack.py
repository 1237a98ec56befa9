"""The real `sam build`, `sam deploy` and `sam delete`, pointed at an embedded cloud."""

import os
import platform
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from botocore.exceptions import ClientError

from local.cloud import REGION, ROOT, Cloud, CloudError
from ops.stack import reachable

STACK_NAME = "eventflow"
TEMPLATE = ROOT / "template.yaml"
TIMELINE_NAME = f"{STACK_NAME}-timeline"
TIMELINE_TEMPLATE = ROOT / "timeline" / "template.yaml"

# The emulator runs Lambdas on the interpreter, the processor and the operating system that it runs on itself.
SYSTEM = "apple-darwin" if sys.platform == "darwin" else "manylinux2014"
HOST = {
    "PythonRuntime": f"python{sys.version_info.major}.{sys.version_info.minor}",
    "Architecture": "arm64" if platform.machine() in ("arm64", "aarch64") else "x86_64",
}


@dataclass(frozen=True)
class Stack:
    """A deployed stack. Outputs that are URLs of its API are those by which this machine reaches it."""

    name: str
    outputs: Mapping[str, str]
    parameters: Mapping[str, str]

    @property
    def api_url(self) -> str:
        return self.outputs["ApiUrl"]

    @property
    def user_pool_id(self) -> str:
        return self.outputs["UserPoolId"]

    @property
    def client_id(self) -> str:
        return self.outputs["UserPoolClientId"]

    @property
    def event_bus(self) -> str:
        return self.outputs["EventBusName"]


def attached_to(stack: Stack) -> dict[str, str]:
    """The parameters of a timeline that listens to this stack's bus, for the users of its pool."""
    return {**HOST, **{name: stack.outputs[name] for name in ("EventBusName", "UserPoolId", "AlarmTopicArn")}}


def build_dir(cloud: Cloud, stack_name: str = STACK_NAME) -> Path:
    # a folder of its own around it, in which sam keeps the build's state: two builds may run at once
    return cloud.state / "build" / stack_name / "built"


def build(
    cloud: Cloud,
    template: Path = TEMPLATE,
    stack_name: str = STACK_NAME,
    parameters: Mapping[str, str] = HOST,
) -> Path:
    """Build the template's functions and layers; returns the built template. Raises CloudError."""
    target = build_dir(cloud, stack_name)
    arguments = [
        "build",
        "--template-file",
        str(template),
        "--build-dir",
        str(target),
        *_overrides(parameters),
    ]
    makefiles_read = {
        "PYTHON_RUNTIME": HOST["PythonRuntime"],
        "ARCHITECTURE": HOST["Architecture"],
        "SYSTEM": SYSTEM,
    }
    _sam(cloud, stack_name, arguments, makefiles_read)
    return target / "template.yaml"


def deploy(
    cloud: Cloud,
    template: Path,
    stack_name: str = STACK_NAME,
    parameters: Mapping[str, str] = HOST,
) -> Stack:
    """Create or update a stack from a built template. Raises CloudError."""
    # a prefix of its own: `sam delete` removes what it uploaded, and two stacks may be built of the same code
    arguments = ["deploy", "--template-file", str(template), "--stack-name", stack_name, "--s3-prefix", stack_name]
    arguments += ["--no-confirm-changeset", "--no-fail-on-empty-changeset", "--no-progressbar"]
    started = datetime.now(UTC)
    try:
        _sam(cloud, stack_name, [*arguments, *_overrides(parameters)])
    except CloudError as error:
        raise CloudError(_first_failure(cloud, stack_name, started) or str(error)) from None
    return deployed(cloud, stack_name)


def deployed(cloud: Cloud, stack_name: str = STACK_NAME) -> Stack:
    """The stack as it is now."""
    description = cloud.client("cloudformation").describe_stacks(StackName=stack_name)["Stacks"][0]
    outputs = {
        each["OutputKey"]: reachable(each["OutputValue"], cloud.endpoint) for each in description.get("Outputs", [])
    }
    parameters = {each["ParameterKey"]: each["ParameterValue"] for each in description.get("Parameters", [])}
    return Stack(stack_name, outputs, parameters)


def is_deployed(cloud: Cloud, stack_name: str) -> bool:
    try:
        cloud.client("cloudformation").describe_stacks(StackName=stack_name)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ValidationError":
            raise
        return False
    return True


def delete(cloud: Cloud, stack_name: str) -> None:
    """Delete a stack and what it deployed. Raises CloudError."""
    _sam(cloud, stack_name, ["delete", "--stack-name", stack_name, "--region", REGION, "--no-prompts"])


def _overrides(parameters: Mapping[str, str]) -> list[str]:
    pairs = [f"{name}={value}" for name, value in parameters.items()]
    return ["--parameter-overrides", *pairs] if pairs else []


def _sam(
    cloud: Cloud, stack_name: str, arguments: list[str], extra_environment: Mapping[str, str] | None = None
) -> None:
    command, *options = arguments
    log = cloud.state / f"sam-{command}-{stack_name}.log"
    with log.open("w") as output:
        finished = subprocess.run(
            [
                str(Path(sys.executable).parent / "sam"),
                command,
                *("--config-file", str(ROOT / "samconfig.toml"), "--config-env", "local"),
                *options,
            ],
            cwd=ROOT,
            env=cloud.environment() | _path() | dict(extra_environment or {}),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    if finished.returncode:
        raise CloudError(f"sam {command} failed: {_reason(log.read_text(errors='replace'))} (log: {log})")


def _path() -> dict[str, str]:
    """The makefiles that sam runs are to find the Python that runs this, not the one that the user's shell finds."""
    return {"PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])}


def _reason(output: str) -> str:
    """The last error of sam, as one line, without its traceback."""
    last_error = re.split(r"^Error: ", output, flags=re.MULTILINE)[-1]
    return " ".join(last_error.partition("\nTraceback")[0].split())[:400] or "it wrote nothing"


def _first_failure(cloud: Cloud, stack_name: str, since: datetime) -> str | None:
    """Which resource broke the deployment, and why: sam itself says only that the stack rolled back."""
    try:
        events = cloud.client("cloudformation").describe_stack_events(StackName=stack_name)["StackEvents"]
    except ClientError:
        return None  # there is no such stack: it never came to a deployment
    failures = [
        f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason', 'no reason given')}"
        for event in reversed(events)  # they come newest first
        if event["Timestamp"] >= since and event["ResourceStatus"] in ("CREATE_FAILED", "UPDATE_FAILED")
    ]
    return f"stack {stack_name} was not deployed: {failures[0]}" if failures else None
