"""The tables of docs/performance.md, "Cold start" and "Warm cost"."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from benchmarks.speed.cold import Starts
from benchmarks.speed.warm import KINDS, Cost
from benchmarks.tables import table
from local.cloud import EMULATOR_PYTHON

VERSIONS = "import boto3, platform; print('Python', platform.python_version(), 'and boto3', boto3.__version__)"


def tables(starts: Mapping[str, Starts], costs: Mapping[str, Cost]) -> dict[str, str]:
    """By the names of their places in the document."""
    return {"cold": f"{cold(starts)}\n\n{shape()}", "warm": f"{warm(costs)}\n\n{shape()}"}


def cold(starts: Mapping[str, Starts]) -> str:
    slowest_first = sorted(starts.items(), key=lambda it: -it[1].cpu)
    rows = [[name, f"{it.cpu:.2f}", f"{it.init:.2f}", str(len(it.function))] for name, it in slowest_first]
    return table(["function", "CPU, x floor", "init, x floor", "starts"], rows)


def warm(costs: Mapping[str, Cost]) -> str:
    rows = [[title, *(f"{cost.ratio(kind):.2f}" for kind in KINDS)] for title, cost in costs.items()]
    return table(["invocation", *(f"{kind}, x bare" for kind in KINDS)], rows)


def shape() -> str:
    """What it was measured on, and how busy that was."""
    versions = subprocess.run([EMULATOR_PYTHON, "-c", VERSIONS], capture_output=True, text=True, check=True)
    return (
        f"{os.cpu_count()} processors ({_processor()}), {platform.system()} on {platform.machine()}, "
        f"{versions.stdout.strip()}; load {os.getloadavg()[2]:.1f} over 15 minutes."
    )


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.+)", cpuinfo.read_text()) if cpuinfo.exists() else None
    return found[1] if found else platform.processor() or "unknown"
