"""`make cost [ORDERS=3] [KEEP=1]`: record every outcome on an embedded cloud of its own, and price it."""

from __future__ import annotations

import argparse
import os
import sys

from rich.console import Console

from benchmarks import scale, tables
from benchmarks.cost import document, recording
from cost import records
from ops import OpsError

parser = argparse.ArgumentParser(prog="python -m benchmarks.cost", description=__doc__)
parser.add_argument("--orders", type=int, default=2, help="of each outcome (default: 2)")
parser.add_argument(
    "--keep", action="store_true", help="keep the record, and write the tables of docs/performance.md and docs/scale.md"
)


def main() -> None:
    """Raises OpsError."""
    arguments = parser.parse_args()
    if arguments.orders < 1:
        raise OpsError("ORDERS is a whole number above 0")
    aside = Console(stderr=True, highlight=False)
    if aside.is_terminal:
        with aside.status("") as status:
            tallies = recording.recorded(arguments.orders, lambda text: status.update(f"  {text}"))
    else:
        tallies = recording.recorded(arguments.orders, lambda text: aside.print(f"  {text}"))
    for line in (*document.lines(tallies), "", *document.lines_at_rest()):
        print(line)
    if arguments.keep:
        records.keep(tallies)
        print(f"\nWritten: {tables.write('performance.md', document.tables(tallies)).name}", end=", ")
        print(tables.write("scale.md", scale.tables_of(tallies["confirmed"])).name)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("interrupted")
    except OpsError as error:
        if os.environ.get("EVENTFLOW_DEBUG"):
            raise
        sys.exit(f"error: {error}")
