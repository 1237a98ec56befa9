"""The embedded cloud as a process: start it, find it again, stop it."""

import http.client
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Self

import boto3
import botocore.session
from botocore.config import Config

from local import xray
from local.program import Program
from ops import OpsError

ROOT = Path(__file__).resolve().parent.parent
STATE = ROOT / ".local"
EMULATOR_PYTHON = ROOT / ".venvs" / "emulator" / "bin" / "python"
REGION = "us-east-1"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}  # the emulator's root user

START_SECONDS = 30


class CloudError(OpsError):
    """What went wrong and what to do about it, in one line for the person at the terminal."""


@dataclass(frozen=True)
class Cloud:
    """An emulator on 127.0.0.1:`port` that keeps everything it writes inside the directory `state`."""

    state: Path
    port: int

    @classmethod
    def found(cls, state: Path) -> Self | None:
        """The cloud that runs out of `state` now, whatever its port."""
        found = _emulator(state).found
        return cls(state, found["port"]) if found else None

    @property
    def running(self) -> bool:
        return Cloud.found(self.state) == self

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        return _emulator(self.state).log

    @property
    def calls(self) -> Path:
        """A line for every call that AWS would bill (local/gaps/calls.py), for as long as the file is there."""
        return self.state / "calls.jsonl"

    def start(self) -> None:
        """Start the emulator, or keep the one that runs already. Raises CloudError."""
        found = _emulator(self.state).found
        if found and found["port"] != self.port:
            raise CloudError(f"EventFlow already runs on port {found['port']}: `make down` first, or leave PORT out")
        if found:
            xray.start(self.state, found["xray"])
            return _wait_until_ready(self, lambda: bool(_emulator(self.state).found))
        if not EMULATOR_PYTHON.exists():
            raise CloudError(f"{EMULATOR_PYTHON.relative_to(ROOT)} is missing: `make up` creates it")
        _refuse_taken_port(self.port)
        shutil.rmtree(_tmp(self.state), ignore_errors=True)
        _tmp(self.state).mkdir(parents=True)
        try:
            process = _spawn(self, xray.start(self.state))
            _wait_until_ready(self, lambda: process.poll() is None)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the emulator and X-Ray, those that run, and wait until they have gone."""
        _emulator(self.state).stop()
        xray.stop(self.state)

    def environment(self) -> dict[str, str]:
        """Environment variables for the AWS tools: this cloud, without the user's own AWS configuration."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("AWS_") and k != "PYTHONPATH"}
        no_proxy = ",".join(filter(None, [inherited.pop("NO_PROXY", ""), inherited.get("no_proxy", ""), "127.0.0.1"]))
        no_profile = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
        return inherited | self.coordinates() | no_profile | {"no_proxy": no_proxy}

    def coordinates(self) -> dict[str, str]:
        """The variables that point any AWS tool at this cloud."""
        traces = xray.endpoint(self.state)
        return CREDENTIALS | {
            "AWS_ENDPOINT_URL": self.endpoint,
            **({"AWS_ENDPOINT_URL_XRAY": traces} if traces else {}),
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
            "SAM_CLI_TELEMETRY": "0",
        }

    def client(self, service: str) -> Any:
        """A boto3 client of this cloud, whatever profile or proxy the user's shell has set."""
        return _client(self.endpoint, service)


@cache  # to make one takes longer than most calls; any number of threads may use it
def _client(endpoint: str, service: str) -> Any:
    no_profile = {
        "profile": (None, None, None, None),
        "config_file": (None, None, os.devnull, None),
        "credentials_file": (None, None, os.devnull, None),
    }
    session: Any = boto3.Session(botocore_session=botocore.session.Session(session_vars=no_profile))
    return session.client(
        service,
        region_name=REGION,
        endpoint_url=endpoint,
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        config=Config(proxies={}, max_pool_connections=50),
    )


def _emulator(state: Path) -> Program:
    return Program(state, "emulator")


def _tmp(state: Path) -> Path:
    return state / "tmp"


def _spawn(cloud: Cloud, xray_daemon: int) -> subprocess.Popen[bytes]:
    # Built from nothing rather than inherited: the Lambdas see the emulator's environment.
    environment = CREDENTIALS | {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(cloud.state),
        "TMPDIR": str(_tmp(cloud.state)),
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "AWS_DEFAULT_REGION": REGION,
        "GATEWAY_PORT": str(cloud.port),
        "BIND_HOST": "127.0.0.1",
        "IOT_MTLS_ENABLED": "false",
        "AUTH": "true",
        "AWS_XRAY_DAEMON_ADDRESS": f"127.0.0.1:{xray_daemon}",
        "AWS_ENDPOINT_URL_XRAY": xray.endpoint(cloud.state) or "",
        "LAMBDA_ASYNC_RETRY_BASE_SECONDS": "1",  # retries after 1 s and 2 s; AWS waits 1 and 2 minutes
        "EVENTFLOW_CALLS": str(cloud.calls),
    }
    command = [str(EMULATOR_PYTHON), "-m", "local.emulator"]
    return _emulator(cloud.state).start(command, environment, port=cloud.port, xray=xray_daemon)


def _wait_until_ready(cloud: Cloud, alive: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while alive() and time.monotonic() < deadline:
        if _answers(cloud.port):
            return
        time.sleep(0.05)
    lines = cloud.log.read_text(errors="replace").strip().splitlines() or ["it wrote nothing"]
    raise CloudError(f"the emulator did not start: {lines[-1]} (log: {cloud.log})")


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/_ministack/ready")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _refuse_taken_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise CloudError(f"port {port} is not free ({error.strerror}): `make up PORT={port + 1}`") from None
