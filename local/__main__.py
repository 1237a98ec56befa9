"""`python -m local up | token | down | invoke | sam-local`: what the Makefile's targets of these names run."""

import argparse
import os
import signal
import sys
from pathlib import Path

from local.cloud import STATE, Cloud, CloudError
from local.invoke import invoke
from local.sam_local import sam_local
from local.up import down, token, up
from ops import OpsError


def port(text: str) -> int:
    if not text.isdecimal() or not 1024 <= int(text) <= 65535:
        raise CloudError(f"PORT is a number from 1024 to 65535, not {text!r}")
    return int(text)


def on_or_off(text: str) -> bool:
    if text not in ("on", "off"):
        raise CloudError(f"TIMELINE is on or off, not {text!r}")
    return text == "on"


parser = argparse.ArgumentParser(prog="python -m local", description="EventFlow's embedded cloud.")
commands = parser.add_subparsers(dest="command", required=True)

up_command = commands.add_parser("up", help="start EventFlow on this machine, or bring it up to date")
up_command.add_argument("--port", type=port, help="of the emulated AWS (default: 4566, or where it runs already)")
up_command.add_argument(
    "--timeline",
    type=on_or_off,
    default=True,
    metavar="on|off",
    help="deploy the timeline, or take it away (default: on)",
)

commands.add_parser("token", help="sign in again, for another hour, without a new deployment or an order")

commands.add_parser("down", help="stop EventFlow and leave nothing of it behind")

invoke_command = commands.add_parser("invoke", help="run one deployed function on a sample event")
invoke_command.add_argument("function", help="its name in a template, e.g. PaymentFunction")
invoke_command.add_argument("event", type=Path, help="a JSON file, e.g. one of events/")

sam_local_command = commands.add_parser("sam-local", help="run samples through the real `sam local`, in containers")
sam_local_command.add_argument("--unpack", action="store_true", help="Debian's Docker where none runs, or skip")


def main() -> int:
    arguments = parser.parse_args()
    match arguments.command:
        case "up":
            up(arguments.port, arguments.timeline)
        case "token":
            token()
        case "down":
            down()
        case "invoke":
            cloud = Cloud.found(STATE)
            if not cloud:
                raise CloudError("EventFlow does not run: `make up`")
            return 0 if invoke(cloud, arguments.function, arguments.event) else 1
        case "sam-local":
            signal.signal(signal.SIGTERM, signal.default_int_handler)  # a CI job called off cleans up as after Ctrl-C
            return 0 if sam_local(arguments.unpack) else 1
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("interrupted")
    except Exception as error:
        if os.environ.get("EVENTFLOW_DEBUG"):
            raise
        kind = "" if isinstance(error, OpsError) else f"{type(error).__name__}: "
        hint = "" if isinstance(error, OpsError) else " (EVENTFLOW_DEBUG=1 shows where)"
        sys.exit(f"error: {kind}{error}{hint}")
