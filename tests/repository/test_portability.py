"""Code that needs a system is in the folders that declare it, and elsewhere refuses in one line.

Linux and macOS run everything else. On Windows people use WSL 2 or the dev container; `python -m ops` needs neither.
"""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from local import invoke
from local import stack as deployment
from local.cloud import CloudError
from local.docker import daemon, image
from local.docker.daemon import NoDocker

from ..sam_template import ROOT

UNIX = ("local/", "tests/", "benchmarks/")
"""Folders of code that Linux and macOS run, and Windows does not."""

LINUX = (
    *("local/docker/", "local/invoke.py", "tests/unit/test_sam_local.py", "tests/repository/test_portability.py"),
    "benchmarks/speed/",  # starts functions by local/invoke.py, which refuses
)
"""Code that only Linux runs. Each refuses elsewhere: see below."""

UNIX_MODULES = {"crypt", "fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty"}
UNIX_NAMES = {
    *("os.fork", "os.geteuid", "os.getuid", "os.getpgid", "os.killpg", "os.mkfifo", "os.setsid", "os.uname"),
    *("signal.SIGALRM", "signal.SIGCHLD", "signal.SIGHUP", "signal.SIGKILL", "signal.SIGUSR1", "signal.alarm"),
    *("socket.AF_UNIX", "socket.SO_REUSEPORT"),
}
UNIX_ARGUMENTS = {"pass_fds", "preexec_fn", "process_group", "start_new_session"}
LINUX_NAMES = {
    *("os.memfd_create", "os.pidfd_open", "os.sched_getaffinity", "os.eventfd", "select.epoll"),
    *("socket.AF_NETLINK", "socket.AF_PACKET"),
}
LINUX_TEXT = re.compile(r"/proc/|/sys/|/dev/shm|\bcgroup|\bdpkg\b|127\.0\.0\.[2-9]|\bawslambdaric\b")

GNU_ONLY = re.compile(
    r"\bsed (-i|-r|--)|\bdate (-u )?(-d|--date)|\breadlink -[fem]|\brealpath\b|\bstat (-c|--format)|\bgrep -\w*P"
    r"|\bfind .*-printf|\bbase64 -w|\bxargs (-r|-d)|\bsort -V|\btouch -d|\bhead -n -|\bln -\w*r|\btac\b"
    r"|(?<![-\w])timeout \d|\bsetsid\b|\bflock \S|\bnproc\b|\bss -|\bip (link|addr)|\bapt-get\b|\b(sha256|md5)sum\b"
)
DEBIAN = (
    ".ci/run",
    ".devcontainer/",
    ".github/workflows/",
    "local/docker/",
    "local/pictures.py",
    "README.md",
    "CONTRIBUTING.md",
    *LINUX,
)
"""Where Debian's and GNU's tools may be named."""


def tracked(*patterns: str) -> list[str]:
    names = subprocess.run(["git", "ls-files", "-z", *patterns], cwd=ROOT, capture_output=True, text=True, check=True)
    return [name for name in names.stdout.split("\0") if name and (ROOT / name).is_file()]


def uses(source: str) -> Iterator[tuple[str, str]]:
    """What a module uses that not every system has: whether "unix" or "linux" has it, and its name."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                yield from (("unix", each.name) for each in names if each.name in UNIX_MODULES)
            case ast.ImportFrom(module=str(module)) if module in UNIX_MODULES:
                yield "unix", module
            case ast.Attribute(value=ast.Name(id=owner), attr=name):
                full = f"{owner}.{name}"
                if full in UNIX_NAMES:
                    yield "unix", full
                if full in LINUX_NAMES:
                    yield "linux", full
            case ast.keyword(arg=str(name)) if name in UNIX_ARGUMENTS:
                yield "unix", name
            case ast.Constant(value=str(text)) if found := LINUX_TEXT.search(text):
                yield "linux", found.group()


USES = {(name, *use) for name in tracked("*.py") for use in uses((ROOT / name).read_text())}


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import fcntl", [("unix", "fcntl")]),
        ("import os\nos.killpg(1, 2)", [("unix", "os.killpg")]),
        ("run(start_new_session=True)", [("unix", "start_new_session")]),
        ("open('/proc/self/mounts')", [("linux", "/proc/")]),
        ("os.sched_getaffinity(0)", [("linux", "os.sched_getaffinity")]),
        ("import os\nos.environ['HOME']", []),
    ],
)
def test_a_use_that_not_every_system_has_is_found(source, found):
    assert list(uses(source)) == found


def test_functions_and_commands_for_operators_use_nothing_that_windows_lacks():
    assert ("local/program.py", "unix", "fcntl") in USES
    assert {use for use in USES if not use[0].startswith(UNIX)} == set()


def test_what_only_linux_has_is_used_in_the_folders_that_refuse_elsewhere():
    assert {use for use in USES if use[1] == "linux" and not use[0].startswith(LINUX)} == set()


def commands(name: str) -> Iterator[str]:
    """The lines of a file that a shell may run: of a document its code, of a Python module its texts."""
    text = (ROOT / name).read_text()
    if name.endswith(".md"):
        yield from (
            line for block in re.findall(r"^```\w*\n(.*?)^```", text, re.M | re.S) for line in block.split("\n")
        )
        yield from re.findall(r"^    .*", text, re.MULTILINE)
        yield from re.findall(r"`([^`\n]+)`", text)
    elif name.endswith(".py"):
        constants = (node.value for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant))
        yield from (line for value in constants if isinstance(value, str) for line in value.split("\n"))
    else:
        yield from text.split("\n")


def test_commands_are_those_that_linux_and_macos_share():
    suspects = [
        name
        for name in tracked("*.md", "*.py", "*.sh", "*Makefile", ".ci/run")
        if not name.startswith(DEBIAN) and GNU_ONLY.search((ROOT / name).read_text())
    ]
    found = [(name, line.strip()) for name in suspects for line in commands(name) if GNU_ONLY.search(line)]
    assert found == []


# What refuses, and how


@pytest.fixture
def macos(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")


@pytest.mark.usefixtures("macos")
def test_elsewhere_than_on_linux_make_invoke_says_what_to_use_instead():
    with pytest.raises(CloudError, match="only on Linux: use `sam remote invoke`, or the dev container"):
        invoke._interface_emulator()


@pytest.mark.usefixtures("macos")
def test_elsewhere_than_on_linux_no_docker_is_unpacked():
    with pytest.raises(NoDocker, match="only on Linux"), daemon.unpacked():
        pass


@pytest.mark.usefixtures("macos")
def test_elsewhere_than_on_linux_no_image_is_made():
    with pytest.raises(CloudError, match="only on Linux: use `sam remote invoke`"):
        image.home_made(daemon.Docker({}, "127.0.0.1"))


def test_on_windows_make_says_in_one_line_what_to_use_instead():
    refused = subprocess.run(["make", "OS=Windows_NT", "up"], cwd=ROOT, capture_output=True, text=True)
    assert refused.returncode == 2
    (line,) = refused.stderr.splitlines()
    assert "use WSL 2 or the dev container" in line


def test_lambdas_own_runtime_client_is_installed_only_where_it_can_be():
    (line,) = re.findall(r"^awslambdaric.*", (ROOT / "local" / "requirements.txt").read_text(), re.MULTILINE)
    assert '; sys_platform == "linux"' in line


# The layer's wheels: for Lambda those of Linux; on a Mac's embedded cloud those of macOS


def installing(**variables: str) -> str:
    """The command by which the layer's makefile would install the wheels."""
    given = [f"{name}={value}" for name, value in variables.items()]
    made = ["make", "--dry-run", "--directory", "layer", "build-Dependencies", "ARTIFACTS_DIR=out", *given]
    return subprocess.run(made, cwd=ROOT, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(
    ("variables", "platform"),
    [
        ({}, "aarch64-manylinux2014"),
        ({"ARCHITECTURE": "x86_64"}, "x86_64-manylinux2014"),
        ({"SYSTEM": "apple-darwin"}, "aarch64-apple-darwin"),
        ({"SYSTEM": "apple-darwin", "ARCHITECTURE": "x86_64"}, "x86_64-apple-darwin"),
    ],
)
def test_the_layer_is_built_for_the_system_that_runs_it(variables, platform, monkeypatch):
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{Path('/usr/bin')}:{Path('/bin')}")  # where uv is
    assert f"--python-platform {platform} " in installing(**variables)


def test_make_up_builds_the_layer_for_this_machine():
    expected = "apple-darwin" if sys.platform == "darwin" else "manylinux2014"
    assert expected == deployment.SYSTEM
