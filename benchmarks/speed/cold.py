"""Cold starts: each function's real init under Amazon's runtime interface emulator and client.

The floor is started right before each function, so that both see the same machine. The time is the emulator's own
(INIT REPORT): from the start of the interpreter to the first request for an event, as on AWS `Init Duration` is.
"""

from __future__ import annotations

import os
import re
import shutil
import statistics
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile

from benchmarks.speed.built import Built
from local.cloud import EMULATOR_PYTHON, REGION, CloudError
from local.invoke import post, runtime

BARE = Path(__file__).with_name("bare")


@dataclass(frozen=True)
class Start:
    """In milliseconds: how long the init took, and how long it had a processor until the first event was answered."""

    init: float
    cpu: float


@dataclass
class Starts:
    """Of a function, and of the floor right before each."""

    function: list[Start] = field(default_factory=list)
    floor: list[Start] = field(default_factory=list)

    @property
    def init(self) -> float:
        """Of the medians, as a multiple of the floor's."""
        return statistics.median(it.init for it in self.function) / statistics.median(it.init for it in self.floor)

    @property
    def cpu(self) -> float:
        return statistics.median(it.cpu for it in self.function) / statistics.median(it.cpu for it in self.floor)


def measured(
    functions: Sequence[Built], rounds: int, folder: Path, tell: Callable[[str], None]
) -> Mapping[str, Starts]:
    """By the function's name. Raises CloudError where one does not start."""
    floor = _floor(folder)
    starts = {function.name: Starts() for function in functions}
    for number in range(rounds + 1):
        tell(f"cold starts: round {number} of {rounds}" if number else "cold starts: one of each, not counted")
        for function in functions:
            first, then = start(floor), start(function)
            if number:  # before, the runtime's own packages may not be compiled yet
                starts[function.name].floor.append(first)
                starts[function.name].function.append(then)
    return starts


def _floor(folder: Path) -> Built:
    """The bare handler, compiled as `sam build` compiles ours."""
    task = folder / "bare"
    shutil.copytree(BARE, task, ignore=shutil.ignore_patterns("__pycache__"))
    compiling = [EMULATOR_PYTHON, "-m", "compileall", "-qq", "--invalidation-mode", "unchecked-hash", task]
    subprocess.run(compiling, check=True)
    return Built("floor", "bare.handler", task, None, {})


def start(function: Built) -> Start:
    """Start it once. Raises CloudError."""
    with TemporaryFile() as log:
        with runtime(function.handler, function.task, environment(function), log_level="info", output=log) as started:
            # the runtime starts with the first event; what becomes of that does not matter
            post(started.port, b"{}", seconds=60)
            cpu = _cpu(started.pid)
        log.seek(0)
        told = log.read().decode(errors="replace")
    found = re.search(r"INIT REPORT\(durationMs: ([\d.]+)", told)
    if not found or "Runtime.ImportModuleError" in told:
        raise CloudError(f"{function.name} does not start: {' '.join(told.split())[-600:]}")
    return Start(float(found[1]), cpu)


def _cpu(parent: int) -> float:
    """Milliseconds that the only child of this process had a processor, in all its threads."""
    children = [child for file in Path(f"/proc/{parent}/task").glob("*/children") for child in file.read_text().split()]
    nanoseconds = (int(it.read_text().split()[0]) for child in children for it in _threads(child))
    return sum(nanoseconds) / 1e6


def _threads(process: str) -> Iterable[Path]:
    return Path(f"/proc/{process}/task").glob("*/schedstat")


def environment(function: Built) -> dict[str, str]:
    """What Lambda gives a function that is traced."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "PYTHONPATH": os.pathsep.join(function.path),
        "LAMBDA_TASK_ROOT": str(function.task),
        "AWS_EXECUTION_ENV": "AWS_Lambda_python",
        "AWS_LAMBDA_FUNCTION_NAME": function.name,
        "AWS_LAMBDA_FUNCTION_VERSION": "1",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
        "AWS_LAMBDA_FUNCTION_TIMEOUT": "15",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",
        **function.variables,
    }
