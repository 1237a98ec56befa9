"""Clones of the project, and commands in them as a user's shell would run them."""

import os
import re
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from local.cloud import ROOT

NOT_COPIED = shutil.ignore_patterns(".git", ".local", ".venvs", ".aws-sam", "__pycache__", ".*_cache", ".hypothesis")


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def clone_into(folder: Path) -> Path:
    clone = folder / "a clone"
    shutil.copytree(ROOT, clone, ignore=NOT_COPIED)
    commit = "-c user.name=newcomer -c user.email=newcomer@example.com commit --quiet --message cloned"
    for what in ("init --quiet", "add --all", commit):
        subprocess.run(["git", *what.split()], cwd=clone, check=True)
    (clone / ".venvs").symlink_to(ROOT / ".venvs")
    return clone


def run(folder: Path, script: str, seconds: float = 240, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a script as the user's shell would, without what the test run itself was given by make."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "AWS_"))}
    process = subprocess.Popen(
        ["bash", "-c", script],
        cwd=folder,
        env=inherited | variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        pytest.fail(f"took more than {seconds} s; it had said: {out[-2000:]} {err[-2000:]}")
    return subprocess.CompletedProcess(script, process.returncode, out, err)


def errors(finished: subprocess.CompletedProcess[str]) -> list[str]:
    return [line for line in finished.stderr.splitlines() if not line.startswith("make")]


def env_of(clone: Path) -> dict[str, str]:
    """What .local/env exports."""
    return dict(re.findall(r"^export (\w+)=(.*)$", (clone / ".local" / "env").read_text(), re.MULTILINE))
