"""The real `sam local`, set up so that its functions find the local cloud as they do where they are deployed."""

import importlib
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from local.cloud import ROOT, Cloud, CloudError
from local.docker.daemon import Docker
from local.invoke import free_port, physical_name, role_credentials
from local.stack import HOST, build_dir
from ops import OpsError
from ops.api import Api

# What a function is given besides its own variables.
GIVEN = ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")

INVOKE_SECONDS = 300
START_SECONDS = 60
STOP_SECONDS = 30
LOG_LINES = 12


@dataclass(frozen=True)
class SamLocal:
    """`environment` and `options` are those of every command; what they write goes into `folder`."""

    environment: Mapping[str, str]
    options: Sequence[str]
    folder: Path

    def invoke(self, function: str, event: Path) -> None:
        """Raises CloudError, with the end of the log, unless the function answers well."""
        with self._started("invoke", function, "--event", str(event)) as (process, log):
            assert process.stdout
            try:
                answer, _ = process.communicate(timeout=INVOKE_SECONDS)
            except subprocess.TimeoutExpired:
                raise CloudError(f"no end after {INVOKE_SECONDS} s{_end_of(log)}") from None
            reason = failure(process.returncode, answer.decode(errors="replace"))
            if reason:
                raise CloudError(f"{reason}{_end_of(log)}")

    @contextmanager
    def api(self) -> Iterator[Api]:
        """`sam local start-api` as nobody: it leaves Cognito's authorizers out. Raises CloudError."""
        port = free_port()
        with self._started("start-api", "--port", str(port)) as (process, log):
            deadline = time.monotonic() + START_SECONDS
            while not _listens(port):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise CloudError(f"`sam local start-api` does not start{_end_of(log)}")
                time.sleep(0.1)
            try:
                yield Api(f"http://127.0.0.1:{port}", token="")
            except OpsError as error:
                raise CloudError(f"{error}{_end_of(log)}") from None

    @contextmanager
    def _started(self, command: str, *arguments: str) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
        log = self.folder / f"{command}.log"
        sam = Path(sys.executable).parent / "sam"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [str(sam), "local", command, *arguments, *self.options],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if command == "invoke" else output,
                stderr=output,
                start_new_session=True,  # Ctrl-C reaches it once, from here, and it is waited for
            )
        try:
            yield process, log
        finally:
            _interrupt(process)


def sam_local_on(
    docker: Docker, image: str, cloud: Cloud, endpoint: str, functions: Sequence[str], folder: Path
) -> SamLocal:
    """`endpoint` is where `functions` find `cloud` from inside their containers. Raises CloudError."""
    variables = _variables(cloud, endpoint, functions, folder)
    options = ["--template-file", str(_template(cloud)), "--env-vars", str(variables)]
    options += ["--invoke-image", image, "--skip-pull-image", "--layer-cache-basedir", str(folder / "layers")]
    options += ["--config-file", str(ROOT / "samconfig.toml"), "--config-env", "local"]
    options += ["--parameter-overrides", *(f"{name}={value}" for name, value in HOST.items())]
    return SamLocal(cloud.environment() | docker.environment | {"TMPDIR": str(folder)}, options, folder)


def failure(exit_code: int, answer: str) -> str | None:
    """Why an invocation failed, or None. sam exits 0 whatever becomes of the function: its answer has to be read."""
    if exit_code:
        return f"sam exited {exit_code}"
    try:
        value = json.loads(answer)
    except ValueError:
        return answer.strip() or "the function gave no answer"
    told = value if isinstance(value, dict) else {}
    if "errorType" in told:
        return f"{told['errorType']}: {told.get('errorMessage')}"
    if told.get("statusCode", 200) >= 400:
        return f"it answered {told['statusCode']}: {told.get('body')}"
    return None


def _template(cloud: Cloud) -> Path:
    """The built template, in which each function declares what it is given: sam passes nothing else on."""
    yaml = importlib.import_module("samcli.yamlhelper")
    built = build_dir(cloud) / "template.yaml"
    template = yaml.yaml_parse(built.read_text())
    template["Globals"]["Function"]["Environment"]["Variables"] |= dict.fromkeys(GIVEN, "")
    path = built.with_name("sam-local.yaml")  # in its folder: code is named by relative paths
    path.write_text(yaml.yaml_dump(template))
    return path


def _variables(cloud: Cloud, endpoint: str, functions: Sequence[str], folder: Path) -> Path:
    """The file for --env-vars: each function's variables as they are deployed, its role, and the way to the cloud."""
    variables = {}
    for function in functions:
        deployed = cloud.client("lambda").get_function_configuration(FunctionName=physical_name(cloud, function))
        given = role_credentials(cloud, deployed["Role"]) | {"AWS_ENDPOINT_URL": endpoint}
        variables[function] = deployed["Environment"]["Variables"] | given
    path = folder / "variables.json"
    path.write_text(json.dumps(variables))
    return path


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _interrupt(process: subprocess.Popen[bytes]) -> None:
    """As Ctrl-C does; then sam removes its containers."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _end_of(log: Path) -> str:
    told = log.read_text(errors="replace").partition("END RequestId")[0]  # how the runtime is shut down is of no use
    return "".join(f"\n      {line}" for line in told.strip().splitlines()[-LOG_LINES:])
