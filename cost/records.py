"""The tally of the last recording that was kept: what `make load` and `make scale` count with, without a cloud."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from cost.tally import Tally

RECORDS = Path(__file__).with_name("records.json")


def recorded_tallies() -> dict[str, Tally]:
    """By outcome."""
    return {outcome: Tally(**tally) for outcome, tally in json.loads(RECORDS.read_text()).items()}


def keep(tallies: Mapping[str, Tally]) -> None:
    RECORDS.write_text(json.dumps({outcome: it.as_json() for outcome, it in tallies.items()}, indent=2) + "\n")
