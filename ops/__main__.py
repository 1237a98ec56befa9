"""`python -m ops replay`: what needs nothing but the name of a stack and the ordinary AWS environment."""

import argparse
import os
import sys
from datetime import UTC, datetime

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console

from ops import OpsError
from ops.moments import moment
from ops.replay import Replay, follow, start
from ops.stack import Stack, runs_here

parser = argparse.ArgumentParser(
    prog="python -m ops",
    description="Commands for whoever runs EventFlow. They speak to AWS as the environment says (credentials, region, "
    "AWS_ENDPOINT_URL); for the embedded cloud: `. .local/env`.",
)
commands = parser.add_subparsers(dest="command", required=True)

replay_command = commands.add_parser(
    "replay",
    help="deliver archived events again",
    description="Deliver archived events again, to every rule of the bus or to one, and wait until that is done. "
    "Consumers know what they have handled, so nothing happens twice; a price list is rebuilt. On AWS it takes up to "
    "ten minutes until a new event is in the archive. `make replay` runs this on the embedded cloud where `make up` "
    "has left a .local/env and the shell sets neither AWS_PROFILE nor AWS_ACCESS_KEY_ID, else where the shell points.",
)
replay_command.add_argument("--since", required=True, help="events from here on: 2h (ago; s, m, h, d) or ISO 8601")
replay_command.add_argument("--until", default="", help="up to here, written alike (default: now)")
replay_command.add_argument("--rule", default="", help="to this rule alone, by its logical id in the template or name")
replay_command.add_argument(
    "--stack-name", default=os.environ.get("STACK_NAME") or "eventflow", help="(default: $STACK_NAME, or eventflow)"
)
replay_command.add_argument("--yes", action="store_true", help="do not ask; on the embedded cloud nothing is asked")


def main() -> None:
    arguments = parser.parse_args()
    console = Console(highlight=False)
    now = datetime.now(UTC)
    replay = Replay(
        Stack.named(arguments.stack_name, boto3.client("cloudformation")),
        moment("--since", arguments.since, now),
        moment("--until", arguments.until, now) if arguments.until else now,
        arguments.rule,
    )
    events = boto3.client("events")
    target = replay.target(events)
    span = f"{replay.since:%Y-%m-%d %H:%M:%S} to {replay.until:%Y-%m-%d %H:%M:%S} UTC"
    console.print(f"Replay the events of {span}, to {target}", soft_wrap=True)
    if not runs_here(events):
        console.print("On AWS it takes up to ten minutes until a new event is in the archive.")
        if not arguments.yes:
            _confirm()
    follow(events, start(events, replay, target, now), console)


def _confirm() -> None:
    """Raises OpsError unless someone is there and says yes."""
    try:
        agreed = input("Go on? [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        raise OpsError("nobody answers: run it with --yes (make: YES=1)") from None
    if not agreed:
        raise OpsError("nothing was replayed")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("interrupted")
    except OpsError as error:
        sys.exit(f"error: {error}")
    except (BotoCoreError, ClientError) as error:
        if os.environ.get("EVENTFLOW_DEBUG"):
            raise
        sys.exit(f"error: {error} (is the environment that of the right AWS account? locally: `. .local/env`)")
