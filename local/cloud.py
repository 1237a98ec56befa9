"""The embedded cloud as a process: start it, find it again, stop it."""

import fcntl
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import boto3
import botocore.session
from botocore.config import Config

ROOT = Path(__file__).resolve().parent.parent
STATE = ROOT / ".local"
EMULATOR_PYTHON = ROOT / ".venvs" / "emulator" / "bin" / "python"
REGION = "us-east-1"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}  # the emulator's root user

START_SECONDS = 30
STOP_SECONDS = 10


class CloudError(Exception):
    """What went wrong and what to do about it, in one line for the person at the terminal."""


@dataclass(frozen=True)
class Cloud:
    """An emulator on 127.0.0.1:`port` that keeps everything it writes inside the directory `state`."""

    state: Path
    port: int

    @classmethod
    def found(cls, state: Path) -> Self | None:
        """The cloud that runs out of `state` now, whatever its port."""
        owner = _owner(state)
        return cls(state, owner["port"]) if owner else None

    @property
    def running(self) -> bool:
        return Cloud.found(self.state) == self

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        return self.state / "emulator.log"

    def start(self) -> None:
        """Start the emulator, or keep the one that runs already. Raises CloudError."""
        found = Cloud.found(self.state)
        if found and found != self:
            raise CloudError(f"EventFlow already runs on port {found.port}: `make down` first, or leave PORT out")
        if found:
            return _wait_until_ready(self, lambda: bool(_owner(self.state)))
        if not EMULATOR_PYTHON.exists():
            raise CloudError(f"{EMULATOR_PYTHON.relative_to(ROOT)} is missing: `make up` creates it")
        _refuse_taken_port(self.port)
        shutil.rmtree(_tmp(self.state), ignore_errors=True)
        _tmp(self.state).mkdir(parents=True)
        process = _spawn(self)
        try:
            _wait_until_ready(self, lambda: process.poll() is None)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the emulator, if it runs, and wait until it has gone."""
        for signal_number in (signal.SIGTERM, signal.SIGKILL):
            deadline = time.monotonic() + STOP_SECONDS
            owner = _owner(self.state)
            if owner:
                with suppress(ProcessLookupError):
                    os.kill(owner["pid"], signal_number)
            while _owner(self.state) and time.monotonic() < deadline:
                time.sleep(0.05)
        _pid_file(self.state).unlink(missing_ok=True)

    def environment(self) -> dict[str, str]:
        """Environment variables for the AWS tools: this cloud, and nothing of the user's own AWS set-up."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("AWS_") and k != "PYTHONPATH"}
        no_proxy = ",".join(filter(None, [inherited.pop("NO_PROXY", ""), inherited.get("no_proxy", ""), "127.0.0.1"]))
        no_profile = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
        return inherited | self.coordinates() | no_profile | {"no_proxy": no_proxy}

    def coordinates(self) -> dict[str, str]:
        """The variables that point any AWS tool at this cloud."""
        return CREDENTIALS | {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
            "SAM_CLI_TELEMETRY": "0",
        }

    def client(self, service: str) -> Any:
        """A boto3 client of this cloud, whatever profile or proxy the user's shell has set."""
        no_profile = {
            "profile": (None, None, None, None),
            "config_file": (None, None, os.devnull, None),
            "credentials_file": (None, None, os.devnull, None),
        }
        session: Any = boto3.Session(botocore_session=botocore.session.Session(session_vars=no_profile))
        return session.client(
            service,
            region_name=REGION,
            endpoint_url=self.endpoint,
            aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
            config=Config(proxies={}, max_pool_connections=50),
        )


def _pid_file(state: Path) -> Path:
    return state / "emulator.pid"


def _tmp(state: Path) -> Path:
    return state / "tmp"


def _owner(state: Path) -> dict[str, int] | None:
    """The live emulator of `state`, as {"pid", "port"}.

    The emulator inherits a lock on its pid file and holds it until it dies, however it dies. So a stale file
    is known by its missing lock, and a pid that the system has since given to another program is left alone.
    """
    try:
        with _pid_file(state).open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return None
    except FileNotFoundError:
        return None
    except BlockingIOError:
        return dict(json.loads(_pid_file(state).read_text()))


def _spawn(cloud: Cloud) -> subprocess.Popen[bytes]:
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
        "LAMBDA_ASYNC_RETRY_BASE_SECONDS": "1",  # retries after 1 s and 2 s; AWS waits 1 and 2 minutes
    }
    with _pid_file(cloud.state).open("w") as lock, cloud.log.open("wb") as log:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        process = subprocess.Popen(
            [str(EMULATOR_PYTHON), "-m", "local.emulator"],
            cwd=ROOT,
            env=environment,
            pass_fds=[lock.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C in `make up` is not meant for it
        )
        json.dump({"pid": process.pid, "port": cloud.port}, lock)
    return process


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
