"""What the stack costs a month with no order at all, counted in the templates."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from samtranslator.yaml_helper import yaml_parse

from cost.prices import DAYS_A_MONTH, PRICES

ROOT = Path(__file__).resolve().parents[2]

METRICS = 9
"""Of our own, in the main stack: five facts that the dashboard draws, SagaDuration, and Cancelled by three statuses."""

POLLERS, POLL_SECONDS = 5, 20
"""With which Lambda asks an empty queue for messages, for the account of who owns it (Lambda Developer Guide, "Using
Lambda with Amazon SQS")."""


def at_rest() -> Iterator[tuple[str, float]]:
    """Lines of what, and dollars."""
    main, timeline = (yaml_parse((ROOT / name).read_text()) for name in ("template.yaml", "timeline/template.yaml"))
    plain = [alarm for alarm in _alarms(main) if "Metrics" not in alarm]
    queues = sum(
        "Checkouts" in str(it["Properties"]["EventSourceArn"])
        for it in main["Resources"].values()
        if it["Type"] == "AWS::Lambda::EventSourceMapping"
    )
    minutes = DAYS_A_MONTH * 24 * 60
    yield f"{len(plain)} alarms of a metric", PRICES["alarm"].of(len(plain))
    yield f"{METRICS} metrics, if there are orders in every hour", PRICES["metric"].of(METRICS)
    polls = queues * POLLERS * minutes * 60 / POLL_SECONDS
    yield f"Lambda asks the queue of checkouts {polls:,.0f} times", PRICES["message"].of(polls)
    buckets = int(timeline["Parameters"]["Buckets"]["Default"])
    watch = (
        PRICES["Express execution"].of(minutes)
        + PRICES["read unit"].of(minutes * buckets / 2)  # a query of each, not consistent
        + PRICES["PutMetricData"].of(minutes)
        + PRICES["metric"].of(1)
        + PRICES["alarm"].of(len(_alarms(timeline)))
    )
    yield f"the timeline: its watch, each minute, a metric, {len(_alarms(timeline))} alarms", watch


def _alarms(template: dict[str, Any]) -> list[dict[str, Any]]:
    return [it["Properties"] for it in template["Resources"].values() if it["Type"] == "AWS::CloudWatch::Alarm"]
