"""`make bench [ROUNDS=20]`: how fast each function starts, and what an invocation costs, beside bare boto3."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import tables
from benchmarks.speed import built, cold, document, warm
from ops import OpsError

FEWEST = 20
"""Rounds that a published median is of."""

parser = argparse.ArgumentParser(prog="python -m benchmarks.speed", description=__doc__)
parser.add_argument("--rounds", type=int, default=FEWEST, help=f"of each (default {FEWEST}; below that, only printed)")


def main() -> None:
    """Raises OpsError."""
    rounds = parser.parse_args().rounds
    if rounds < 1:
        raise OpsError("ROUNDS is a whole number above 0")
    with TemporaryDirectory(prefix="eventflow-bench-") as name:
        _tell("sam build, of both templates")
        functions = built.every_function(Path(name))
        starts = cold.measured(functions, rounds, Path(name), _tell)
        print(document.cold(starts), end="\n\n", flush=True)
        costs = warm.measured(functions, rounds, _tell)
    print(document.warm(costs), document.shape(), sep="\n\n")
    if rounds >= FEWEST:
        print(f"\nWritten: {tables.write('performance.md', document.tables(starts, costs)).name}")


def _tell(text: str) -> None:
    print(f"  {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("interrupted")
    except OpsError as error:
        if os.environ.get("EVENTFLOW_DEBUG"):
            raise
        sys.exit(f"error: {error}")
