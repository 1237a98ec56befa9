"""A Docker daemon: the one that runs, or Debian's, unpacked and started for the time."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import IO

from local.cloud import CloudError

PACKAGES = ("docker.io", "containerd", "runc")
TOOLS = ("apt-get", "dpkg", "ip")
DOWNLOAD_SECONDS = 120
START_SECONDS = 60  # one or two, unless the machine is busy
STOP_SECONDS = 20
BRIDGES = 16
ENDPOINT = "{{.Endpoints.docker.Host}}"
CGROUPS = Path("/sys/fs/cgroup")
RUN = [Path("/run") / name for name in ("docker/plugins", "docker", "containerd/s", "containerd")]  # made at any start


class NoDocker(CloudError):
    """There is no Docker here, and why."""


@dataclass(frozen=True)
class Docker:
    """A running daemon. `environment` is what points tools at it, and `bridge` the address at which its containers
    find this machine.
    """

    environment: dict[str, str]
    bridge: str

    def run(self, *arguments: str, stdin: IO[bytes] | None = None) -> str:
        """What the docker CLI prints. Raises CloudError."""
        return _docker(self.environment, *arguments, stdin=stdin)

    def try_out(self, image: str) -> None:
        """A daemon may run where containers cannot. Raises NoDocker."""
        try:
            self.run("run", "--rm", "--memory", "128m", "--entrypoint", "sh", image, "-c", ":")
        except CloudError as error:
            raise NoDocker(f"Docker runs, but no container does: {error}") from None


def that_runs() -> Docker:
    """The Docker that this machine runs. Raises NoDocker."""
    try:
        # sam knows nothing of the CLI's contexts, by which Docker Desktop and its like are found
        endpoint = os.environ.get("DOCKER_HOST") or _run("docker", "context", "inspect", "--format", ENDPOINT)
        environment = {"DOCKER_HOST": endpoint}
        (bridge,) = json.loads(_docker(environment, "network", "inspect", "bridge"))
    except CloudError as error:
        raise NoDocker(f"Docker does not answer ({error.args[0].rstrip('?.')})") from None
    gateways = [subnet.get("Gateway", "") for subnet in bridge["IPAM"]["Config"]]
    addresses = [gateway for gateway in gateways if "." in gateway]  # not of IPv6
    if not addresses:
        raise NoDocker("Docker's bridge has no address")
    return Docker(environment, addresses[0])


@contextmanager
def unpacked() -> Iterator[Docker]:
    """Debian's Docker, with a bridge, a data root and a socket of its own, gone when this ends. Raises NoDocker."""
    _require_what_it_takes()
    with TemporaryDirectory(prefix="eventflow-docker-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        _unpack_packages(folder)
        with _bridge() as (interface, address), _daemon(folder, interface) as environment:
            yield Docker(environment, address)


def _require_what_it_takes() -> None:
    if sys.platform != "linux":
        raise NoDocker("Debian's Docker runs only on Linux")
    if os.geteuid() != 0:
        raise NoDocker("only root can start a Docker daemon")
    if missing := [tool for tool in TOOLS if not shutil.which(tool)]:
        raise NoDocker(f"this machine has no {' and no '.join(missing)}")
    if " cgroup" not in Path("/proc/self/mounts").read_text():
        raise NoDocker("no cgroups are mounted")


def _unpack_packages(folder: Path) -> None:
    packages = folder / "packages"
    packages.mkdir()
    try:
        _run("apt-get", "download", "--quiet", "--quiet", *PACKAGES, cwd=packages, timeout=DOWNLOAD_SECONDS)
        for package in packages.iterdir():
            _run("dpkg", "-x", str(package), str(folder / "root"))
    except (CloudError, subprocess.TimeoutExpired) as error:
        raise NoDocker(f"Debian's packages cannot be downloaded (`apt-get update`?): {error}") from None
    shutil.rmtree(packages)


@contextmanager
def _bridge() -> Iterator[tuple[str, str]]:
    """A network interface that only containers are behind: its name and its address. Raises NoDocker."""
    for number in range(BRIDGES):
        interface = f"eventflow{number}"
        address = f"198.51.100.{16 * number + 1}"  # of a subnet for documentation, which no host can be in
        try:
            _run("ip", "link", "add", interface, "type", "bridge")
            break
        except CloudError as error:
            if "File exists" not in str(error):  # of another run, at work now
                raise NoDocker(f"no bridge can be made: {error}") from None
    else:
        raise NoDocker(f"there are {BRIDGES} bridges of other runs (`ip link delete eventflow0`, ...)")
    try:
        _run("ip", "address", "add", f"{address}/28", "dev", interface)
        _run("ip", "link", "set", interface, "up")
        yield interface, address
    finally:
        _run("ip", "link", "delete", interface)


@contextmanager
def _daemon(folder: Path, interface: str) -> Iterator[dict[str, str]]:
    """The environment by which it is spoken to. Raises NoDocker."""
    binaries = [str(folder / "root" / "usr" / name) for name in ("bin", "sbin")]
    environment = {name: "" for name in os.environ if name.startswith("DOCKER_")} | {
        "PATH": os.pathsep.join([*binaries, os.environ.get("PATH", os.defpath)]),
        "DOCKER_HOST": f"unix://{folder}/docker.sock",
        "DOCKER_CONFIG": str(folder / "config"),
    }
    # It adds no rules to the host's firewall: its containers reach only the host.
    command = ["dockerd", "--host", environment["DOCKER_HOST"], "--pidfile", str(folder / "pid")]
    command += ["--data-root", str(folder / "data"), "--exec-root", str(folder / "exec")]
    command += ["--bridge", interface, "--iptables=false", "--ip-forward=false", "--ip-masq=false"]
    command += ["--exec-opt", "native.cgroupdriver=cgroupfs", "--cgroup-parent", f"/{interface}"]
    log = folder / "dockerd.log"
    made_by_it = [path for path in RUN if not path.exists()]
    with log.open("wb") as output:
        daemon = subprocess.Popen(
            command,
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # Ctrl-C is not meant for it: the containers go first
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while not _answers(environment):
            if daemon.poll() is not None or time.monotonic() > deadline:
                lines = log.read_text(errors="replace").strip().splitlines() or ["it wrote nothing"]
                raise NoDocker(f"Debian's Docker does not start here: {lines[-1]}")
            time.sleep(0.1)
        yield environment
    finally:
        daemon.terminate()
        try:
            daemon.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()
        cgroups = [*CGROUPS.glob(interface), *CGROUPS.glob(f"*/{interface}")]  # of version 2, and of 1
        for empty in (*cgroups, *made_by_it):
            with suppress(OSError):
                empty.rmdir()


def _answers(environment: Mapping[str, str]) -> bool:
    with suppress(CloudError):
        _docker(environment, "version")
        return True
    return False


def _docker(environment: Mapping[str, str], *arguments: str, stdin: IO[bytes] | None = None) -> str:
    return _run("docker", *arguments, environment=environment, stdin=stdin)


def _run(
    *command: str,
    environment: Mapping[str, str] = MappingProxyType({}),
    cwd: Path | None = None,
    stdin: IO[bytes] | None = None,
    timeout: float | None = None,
) -> str:
    try:
        finished = subprocess.run(
            command,
            env=os.environ | environment,
            cwd=cwd,
            stdin=stdin or subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout,
        )
    except FileNotFoundError:
        raise CloudError(f"there is no `{command[0]}` on this machine") from None
    output = finished.stderr if finished.returncode else finished.stdout
    text = output.decode(errors="replace").strip()
    if finished.returncode:
        raise CloudError(" ".join(text.split())[:400] or f"{' '.join(command[:2])} failed")
    return text
