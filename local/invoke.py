"""Run one deployed function on a sample event, under Amazon's own Lambda runtime, with no container.

Lambda's own images hold the same two parts: the runtime interface client `awslambdaric`, and the runtime
interface emulator, which comes inside the SAM CLI.
"""

import http.client
import importlib.util
import io
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

from local.cloud import EMULATOR_PYTHON, REGION, Cloud, CloudError
from local.stack import HOST, STACK_NAME, TIMELINE_NAME, is_deployed

Json = dict[str, Any]


def invoke(cloud: Cloud, function: str, event_file: Path) -> bool:
    """Run `function` (its name in a template) on the event: its log goes to stderr, its answer to stdout.

    Returns whether it answered rather than raised. Raises CloudError.
    """
    event = _read_event(event_file)
    configuration = cloud.client("lambda").get_function_configuration(FunctionName=physical_name(cloud, function))
    with TemporaryDirectory(dir=cloud.state) as folder:
        task, opt = _download(cloud, configuration, Path(folder))
        environment = _runtime_environment(cloud, configuration, task, opt)
        with runtime(configuration["Handler"], task, environment) as started:
            answer = post(started.port, event, seconds=configuration["Timeout"] + 10)
    print(answer)
    return not _is_error(answer)


def _read_event(path: Path) -> bytes:
    try:
        content = path.read_bytes()
        json.loads(content)
    except OSError as error:
        raise CloudError(f"cannot read {path}: {error.strerror} (samples are in events/)") from None
    except ValueError as error:
        raise CloudError(f"{path} is not JSON: {error}") from None
    return content


def physical_name(cloud: Cloud, function: str) -> str:
    functions = {
        resource["LogicalResourceId"]: resource["PhysicalResourceId"]
        for stack_name in (STACK_NAME, TIMELINE_NAME)
        if is_deployed(cloud, stack_name)
        for resource in cloud.client("cloudformation")
        .get_paginator("list_stack_resources")
        .paginate(StackName=stack_name)
        .search("StackResourceSummaries[?ResourceType==`AWS::Lambda::Function`]")
    }
    if not functions:
        raise CloudError("there is no function yet: `make up` deploys them")
    if function not in functions:
        raise CloudError(f"there is no function {function!r}; FUNCTION is one of: {', '.join(sorted(functions))}")
    return str(functions[function])


def _download(cloud: Cloud, configuration: Json, folder: Path) -> tuple[Path, Path]:
    """Unpack what is deployed as Lambda does: the code into /var/task, all layers into /opt."""
    functions = cloud.client("lambda")
    task, opt = folder / "task", folder / "opt"
    _unpack(functions.get_function(FunctionName=configuration["FunctionName"])["Code"]["Location"], task)
    for layer in configuration.get("Layers", []):
        _unpack(functions.get_layer_version_by_arn(Arn=layer["Arn"])["Content"]["Location"], opt)
    return task, opt


def _unpack(url: str, folder: Path) -> None:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(url) as response:
        zipfile.ZipFile(io.BytesIO(response.read())).extractall(folder)


def _runtime_environment(cloud: Cloud, configuration: Json, task: Path, opt: Path) -> dict[str, str]:
    variables = configuration.get("Environment", {}).get("Variables", {})
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "PYTHONPATH": os.pathsep.join([str(task), str(opt / "python")]),
        "LAMBDA_TASK_ROOT": str(task),
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{configuration['Runtime']}",
        "AWS_SAM_LOCAL": "true",  # as under `sam local invoke`: there is no X-Ray daemon to send to
        "AWS_LAMBDA_FUNCTION_NAME": configuration["FunctionName"],
        "AWS_LAMBDA_FUNCTION_VERSION": configuration["Version"],
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(configuration["MemorySize"]),
        "AWS_LAMBDA_FUNCTION_TIMEOUT": str(configuration["Timeout"]),
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL": cloud.endpoint,
        **role_credentials(cloud, configuration["Role"]),
        **variables,
    }


def role_credentials(cloud: Cloud, role_arn: str) -> dict[str, str]:
    """The function's own role, so that what its policies lack is denied here too."""
    session = cloud.client("sts").assume_role(RoleArn=role_arn, RoleSessionName="make-invoke")["Credentials"]
    return {
        "AWS_ACCESS_KEY_ID": session["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": session["SecretAccessKey"],
        "AWS_SESSION_TOKEN": session["SessionToken"],
    }


@dataclass(frozen=True)
class Runtime:
    """Where it listens, and the process of the interface emulator, whose child the function is."""

    port: int
    pid: int


@contextmanager
def runtime(
    handler: str,
    task: Path,
    environment: Mapping[str, str],
    *,
    log_level: str = "error",
    output: IO[Any] | None = None,
) -> Iterator[Runtime]:
    """The runtime, listening. What it logs goes to `output`, or to stderr."""
    port = free_port()
    command = [str(_interface_emulator()), "--log-level", log_level]
    command += ["--runtime-interface-emulator-address", f"127.0.0.1:{port}"]
    command += ["--runtime-api-address", f"127.0.0.1:{free_port()}"]
    command += [str(EMULATOR_PYTHON), "-m", "awslambdaric", handler]
    log = output or sys.stderr
    process = subprocess.Popen(command, cwd=task, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        _wait_for_port(port, process)
        yield Runtime(port, process.pid)
    finally:
        process.terminate()
        process.wait()


def _interface_emulator() -> Path:
    if sys.platform != "linux":
        raise CloudError(
            "Lambda's runtime interface emulator runs only on Linux: use `sam remote invoke`, or the dev container"
        )
    package = importlib.util.find_spec("samcli")
    assert package is not None
    assert package.submodule_search_locations is not None
    return Path(package.submodule_search_locations[0]) / "local" / "rapid" / f"aws-lambda-rie-{HOST['Architecture']}"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for_port(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 10
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.01)
    raise CloudError("the Lambda runtime did not start; its output is above")


def post(port: int, event: bytes, seconds: float) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)
    connection.request("POST", "/2015-03-31/functions/function/invocations", event)
    return connection.getresponse().read().decode()


def _is_error(answer: str) -> bool:
    """The runtime answers everything with 200. An exception shows in the shape, a timeout is not JSON."""
    try:
        value = json.loads(answer or "null")
    except ValueError:
        return True
    return isinstance(value, dict) and {"errorType", "errorMessage"} <= value.keys()
