"""The commands of docs/runbook.md, as the person on call runs them."""

import json
import subprocess
import sys
from typing import Any

from local.cloud import ROOT

from .shop import Shop


def start(shop: Shop, *command: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "ops", *command, "--stack-name", shop.stack.name],
        cwd=ROOT,
        env=shop.cloud.environment() | {"PYTHONPATH": str(ROOT / "functions")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def said(shop: Shop, *command: str, ends: tuple[int, ...] = (0,)) -> str:
    """What a command says, once it has ended with one of these codes."""
    process = start(shop, *command)
    out, err = process.communicate(timeout=60)
    assert process.returncode in ends, out + err
    return out


def failed(shop: Shop, *options: str) -> list[dict[str, Any]]:
    return list(json.loads(said(shop, "failed", "--json", *options)))


def redrive(shop: Shop, *options: str, ends: tuple[int, ...] = (0,)) -> str:
    return said(shop, "redrive", *options, ends=ends)
