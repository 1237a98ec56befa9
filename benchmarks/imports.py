"""What importing each function costs, as a multiple of a bare boto3 handler's: `make benchmark`.

A ratio and not milliseconds, for machines differ and are noisy: both sides are measured in turn, in one run, each in a
fresh interpreter with bytecode at hand, and the medians compared. It is the part of a cold start that code decides.
"""

import os
import statistics
import subprocess
import sys
import time
from itertools import chain

ROUNDS = 9
BARE = 'import boto3; boto3.client("dynamodb")'
ENVIRONMENT = (
    os.environ
    | {
        "PYTHONPATH": "functions",
        "AWS_DEFAULT_REGION": "us-east-1",
        "LAMBDA_TASK_ROOT": ".",  # with it the tracer is on, as in Lambda
        "PAYMENT_FAILURE_RATE": "10",
        "TOPIC_ARN": "",
        "EVENT_BUS": "bus",
        "IDEMPOTENCY_TABLE": "table",
        "GOOD_OUTCOMES": "OrderConfirmed",
        "BAD_OUTCOMES": "OrderCancelled",
        "BUCKETS": "8",
        "COMPENSATIONS": "",
        "STUCK_AFTER_SECONDS": "900",
    }
    | {
        f"{name}_TABLE": "table"
        for name in ("ORDERS", "PRICES", "PAYMENTS", "INVENTORY", "RESERVATIONS", "NOTIFICATIONS", "TIMELINE")
    }
    | {"SIMULATED_GATEWAY_TABLE": "table"}
)
MODULES = ("relay.stream", "orders.http", "orders.consumer", "orders.checkouts", "payment.consumer")
MODULES += ("inventory.consumer", "notification.consumer", "eventflow.price_list", "timeline.http")


def seconds(code: str) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], env=ENVIRONMENT, check=True)
    return time.perf_counter() - started


def main() -> None:
    codes = {"": "pass", BARE: BARE} | {module: f"import {module}" for module in MODULES}
    for code in codes.values():
        seconds(code)  # writes the bytecode
    taken = list(chain.from_iterable([(name, seconds(code)) for name, code in codes.items()] for _ in range(ROUNDS)))
    median = {name: statistics.median(took for one, took in taken if one == name) for name in codes}
    for name in MODULES:
        print(f"  {name:24} {(median[name] - median['']) / (median[BARE] - median['']):5.2f}")
    print(f"  times what `{BARE}` takes; medians of {ROUNDS} runs")


if __name__ == "__main__":
    main()
