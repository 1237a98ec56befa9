"""What AWS asks, in dollars: list prices of us-east-1, beyond what is free for a while or up to a number."""

from __future__ import annotations

from dataclasses import dataclass

AS_OF = "November 2026"
"""When this table was written. Nothing here asks AWS for its prices: check it against the sources below."""

MILLION = 1_000_000
GB = 1_000_000_000
HOURS_A_MONTH = 730
DAYS_A_MONTH = 30


@dataclass(frozen=True)
class Price:
    """`dollars` for so many of a unit."""

    dollars: float
    per: float
    unit: str
    source: str

    def of(self, number: float) -> float:
        return self.dollars * number / self.per


_API = "https://aws.amazon.com/api-gateway/pricing/"
_OUT = "https://aws.amazon.com/ec2/pricing/on-demand/"
_LAMBDA = "https://aws.amazon.com/lambda/pricing/"
_DYNAMODB = "https://aws.amazon.com/dynamodb/pricing/on-demand/"
_EVENTS = "https://aws.amazon.com/eventbridge/pricing/"
_SQS = "https://aws.amazon.com/sqs/pricing/"
_STATES = "https://aws.amazon.com/step-functions/pricing/"
_WATCH = "https://aws.amazon.com/cloudwatch/pricing/"
_XRAY = "https://aws.amazon.com/xray/pricing/"

PRICES = {
    "API request": Price(3.50, MILLION, "requests of a REST API", _API),
    "data out": Price(0.09, GB, "bytes to the internet", _OUT),
    "invocation": Price(0.20, MILLION, "invocations", _LAMBDA),
    "GB-second": Price(0.0000133334, 1, "GB-seconds on arm64", _LAMBDA),
    "write unit": Price(0.625, MILLION, "write request units, on demand", _DYNAMODB),
    "read unit": Price(0.125, MILLION, "read request units, on demand", _DYNAMODB),
    "stored": Price(0.25, GB, "bytes in tables, a month", _DYNAMODB),
    "recoverable": Price(0.20, GB, "bytes in point-in-time recovery, a month", _DYNAMODB),
    "event": Price(1.00, MILLION, "events put, of 64 KB each", _EVENTS),
    "archived": Price(0.10, GB, "bytes put into an archive", _EVENTS),
    "in the archive": Price(0.023, GB, "bytes in an archive, a month", _EVENTS),
    "message": Price(0.40, MILLION, "requests to SQS, of 64 KB each", _SQS),
    "Express execution": Price(1.00, MILLION, "executions", _STATES),
    "Express GB-second": Price(0.06, 3600, "GB-seconds", _STATES),
    "logged": Price(0.50, GB, "bytes put into a log", _WATCH),
    "in the log": Price(0.03, GB, "bytes in a log, a month", _WATCH),
    "trace": Price(5.00, MILLION, "traces recorded", _XRAY),
    "alarm": Price(0.10, 1, "alarms of one metric, a month", _WATCH),
    "metric": Price(0.30, 1, "metrics of our own, a month, for the hours in which they have data", _WATCH),
    "dashboard": Price(3.00, 1, "dashboards beyond three, a month", _WATCH),
    "PutMetricData": Price(0.01, 1000, "PutMetricData calls", _WATCH),
}

# What was not measured on AWS, and is assumed

SAMPLED = 0.05
"""Of traces, those that are recorded: X-Ray's own rule, beyond the first of each second. Lambda samples what a stream
or a queue leads to by the same rule, and knows no other."""

BUSY_MS, CALL_MS = 5.0, 5.0
"""Milliseconds that an invocation takes by itself, and for each call to another service, at 512 MB and warm."""

EXECUTION_MS, EXECUTION_MB = 100.0, 64.0
"""Of an Express execution: what is billed at the least."""
