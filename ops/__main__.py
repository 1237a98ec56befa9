"""`python -m ops COMMAND`: what needs nothing but the name of a stack and the ordinary AWS environment."""

from __future__ import annotations

import argparse
import math
import os
import signal
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, NoRegionError
from rich.console import Console
from rich.text import Text

from ops import OpsError, failed, logs, redrive
from ops.console import show_consoles
from ops.moments import moment
from ops.replay import Replay, follow, start
from ops.stack import Stack, require_running, runs_here
from ops.trace import documents, trace_header, traces_of

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

parser = argparse.ArgumentParser(
    prog="python -m ops",
    description="Commands for the people who run EventFlow. They speak to AWS as the environment says (credentials, "
    "region, AWS_ENDPOINT_URL); for the embedded cloud: `. .local/env`.",
)
commands = parser.add_subparsers(dest="command", required=True)

replay_command = commands.add_parser(
    "replay",
    help="deliver archived events again",
    description="Deliver archived events again, to every rule of the bus or to one, and wait until that is done. "
    "Consumers do not do again what they have handled; a price list is rebuilt. What had failed is tried again, and if "
    "it fails again, it is in its failed-events queue twice. On AWS it takes up to ten minutes until a new event is in "
    "the archive. `make replay` runs this on the embedded cloud where `make up` has left a .local/env and the shell "
    "sets neither AWS_PROFILE nor AWS_ACCESS_KEY_ID; otherwise where the shell points.",
)
replay_command.add_argument("--since", required=True, help="events from here on: 2h (ago; s, m, h, d) or ISO 8601")
replay_command.add_argument("--until", default="", help="up to here, in the same form (default: now)")
replay_command.add_argument(
    "--rule",
    default="",
    help="only to this rule, by its logical id in the template or its name; the timeline's has its stack's name",
)
replay_command.add_argument(
    "--stack-name", default=os.environ.get("STACK_NAME") or "eventflow", help="(default: $STACK_NAME, or eventflow)"
)
replay_command.add_argument("--yes", action="store_true", help="do not ask; on the embedded cloud nothing is asked")


timeline_command = commands.add_parser(
    "timeline",
    help="draw what happened to an order",
    description="Draw what happened to an order: how it ended and why, a lane per service on a common time axis, then "
    "its events in order. It reads the table of the timeline's stack, and needs PYTHONPATH=functions. `make timeline` "
    "sets that, and picks the cloud as `make replay` does.",
)
timeline_command.add_argument(
    "order",
    help="its id, or the id of any other saga; or six characters or more that its id, its trace's or an event's id "
    "begins with: of the newest 2,000",
)

sagas_command = commands.add_parser(
    "sagas",
    help="list sagas, newest first",
    description="List sagas, newest first: all, or those that fit every option. Of a long list it reads the newest "
    "2,000, and says how many it read. It needs PYTHONPATH=functions, which `make sagas` sets.",
)
sagas_command.add_argument("--ending", default="", help="succeeded, failed, calledOff, open or stuck")
sagas_command.add_argument("--since", default="", help="begun from here on: 2h (ago; s, m, h, d) or ISO 8601")
sagas_command.add_argument("--until", default="", help="begun before, in the same form (default: now)")
sagas_command.add_argument("--type", default="", help="with an event of this type")
sagas_command.add_argument("--service", default="", help="with an event of this service's lane")
sagas_command.add_argument("--slower", default="", help="that took, or are open for, longer than this: 500ms, 2s, 5m")
sagas_command.add_argument("--variant", default="", help="on this path, by its key (`make flow` shows them)")
sagas_command.add_argument("--find", default="", help="six characters or more, as for `timeline`")
sagas_command.add_argument("--limit", type=int, default=20, help="how many to list, 1 to 1000 (default: 20)")

flow_command = commands.add_parser(
    "flow",
    help="what is usual, and what is not",
    description="Count what is usual: which event leads to which and how fast, on which paths sagas go and how they "
    "end; then what is not: rare paths, slow sagas, those open for longest. It is about the newest 2,000 sagas of the "
    "time that is asked for. It needs PYTHONPATH=functions, which `make flow` sets.",
)
flow_command.add_argument("--since", default="", help="sagas begun from here on: 2h (ago; s, m, h, d) or ISO 8601")
flow_command.add_argument("--against", default="", metavar="FROM..TO", help="next to those of an earlier time: 2h..1h")

for command in (timeline_command, flow_command):
    command.add_argument("--width", type=int, help="in columns, 60 at least (default: the terminal's; else 80)")
for command in (timeline_command, sagas_command, flow_command):
    command.add_argument("--json", action="store_true", help="for machines, as the timeline's API answers")
    command.add_argument(
        "--stack-name",
        default=os.environ.get("STACK_NAME") or None,
        help="of the timeline, or of the stack whose bus it listens to (default: $STACK_NAME; else eventflow, or the "
        "only timeline there is)",
    )

attach_command = commands.add_parser(
    "attach",
    help="attach a timeline to any bus",
    description="Attach a timeline to any bus: look at an event or more of a file, or listen to the bus for a minute, "
    "propose the timeline's parameters, draw what they make of the events, and if you say yes, deploy a stack of its "
    "own. What listens goes when it ends. The bus and its producers stay as they are.",
)
attach_command.add_argument("bus", help="its name")
attach_command.add_argument("--sample", default="", metavar="FILE", help="events, instead of listening")
attach_command.add_argument("--seconds", type=float, default=60.0, help="for how long to listen (default: 60)")
attach_command.add_argument("--sources", default="", help="listen to these only: what a source begins with, by commas")
attach_command.add_argument("--set", default="", metavar="'NAME=VALUE ...'", help="parameters that you know better")
attach_command.add_argument("--pool", default="", help="of users (default: one of its own, with a first operator)")
attach_command.add_argument("--operator", default="", help="the first operator's name (default: asked for; operator)")
attach_command.add_argument("--yes", action="store_true", help="do not ask")
attach_command.add_argument("--stack-name", default="", help="(default: the bus's name and -timeline)")

console_command = commands.add_parser(
    "console",
    help="where the timeline's console is, and how to sign in",
    description="Print the address of the timeline's console and how to sign in there, and open it where there is a "
    "screen. On the embedded cloud the passwords are those of .local/env, which `make console` reads.",
)

trace_command = commands.add_parser("trace", help="draw the trace of an order, from the API to the last consumer")
trace_command.add_argument("order", help="the order's id")
trace_command.add_argument(
    "--stack-name", default=os.environ.get("STACK_NAME") or "eventflow", help="(default: $STACK_NAME, or eventflow)"
)

failed_command = commands.add_parser(
    "failed",
    help="list what is in the failed-events queues",
    description="List what is in the failed-events queues of the stack and of the timelines that listen to its bus: "
    "when it got there, which event of which order, who failed on it, and why. It all stays there.",
)
failed_command.add_argument("--json", action="store_true", help="for machines")

redrive_command = commands.add_parser(
    "redrive",
    help="send failed events again, to the consumer that failed on them",
    description="Send what is in the failed-events queues again, each event to the function or the state machine that "
    "failed on it and to nobody else, and remove what is then handled. It may be interrupted, run again, and run by "
    "two at once. It ends with 1 if anything is still failing, could not be sent, or could not be seen. It tells "
    "the bus of each one that is handled, by EventRedriven. It needs PYTHONPATH=functions, which `make redrive` sets.",
)
redrive_command.add_argument("--dry-run", action="store_true", help="only tell what would be sent to whom")
redrive_command.add_argument("--yes", action="store_true", help="do not ask; on the embedded cloud nothing is asked")

for command in (failed_command, redrive_command):
    command.add_argument("--service", default="", help="only of this service: payment, checkouts, timeline, ...")
    command.add_argument("--order", default="", help="only about this order, by its whole id")

logs_command = commands.add_parser(
    "logs",
    help="one order's log, of all functions",
    description="One order's log: what all functions of the stack and of the timelines that listen to its bus logged "
    "about it, in the order of time, with what Lambda and Python added.",
)
logs_command.add_argument("order", help="its whole id")
logs_command.add_argument("--since", default="1h", help="from here on: 2h (ago; s, m, h, d) or ISO 8601 (default: 1h)")
logs_command.add_argument("--follow", action="store_true", help="go on until interrupted")

smoke_command = commands.add_parser(
    "smoke",
    help="is this deployed stack right?",
    description="Is this deployed stack right? It checks its alarms, queues, aliases, rules and mappings; then it "
    "shops, with users and a product of its own, and checks that every service does its part. It ends with 1 if "
    "anything is wrong, and says what to look at next. It needs PYTHONPATH=functions, which `make smoke` sets.",
)
smoke_command.add_argument(
    "--poison",
    action=argparse.BooleanOptionalAction,
    help="put malformed events on the bus, and check that they reach the failed queues: alarms go off, and on AWS it "
    "takes ten minutes (default: on the embedded cloud, and where the stack's parameter Stage is dev)",
)
smoke_command.add_argument("--yes", action="store_true", help="do not ask; on the embedded cloud nothing is asked")
smoke_command.add_argument("--junit", type=Path, metavar="FILE", help="write a JUnit report there")

load_command = commands.add_parser(
    "load",
    help="how does this deployed stack do under load?",
    description="Place a number of orders each second, also while answers are slow; follow each to its end; then check "
    "the saga's rules over all of them, read from outside: each ended as the payment gateway decides, payments and "
    "reservations agree with it, the stock is exact, no failed queue holds more. It has users and products of its own, "
    "and deletes them. It ends with 1 if a rule is broken. It needs PYTHONPATH=functions, which `make load` sets.",
)
load_command.add_argument("--rate", type=float, default=5.0, metavar="ORDERS", help="a second (default: 5)")
load_command.add_argument("--seconds", type=float, default=60.0, help="for how long (default: 60)")
load_command.add_argument(
    "--in-flight",
    type=int,
    default=100,
    metavar="REQUESTS",
    help="that wait for an answer at once, at most; what is due then waits, and the wait counts (default: 100)",
)
load_command.add_argument(
    "--picture", type=Path, default=Path("load.svg"), metavar="FILE", help="of latency over time (default: load.svg)"
)
load_command.add_argument("--yes", action="store_true", help="do not ask; on the embedded cloud nothing is asked")

for command in (console_command, failed_command, redrive_command, logs_command, smoke_command, load_command):
    command.add_argument(
        "--stack-name", default=os.environ.get("STACK_NAME") or "eventflow", help="(default: $STACK_NAME, or eventflow)"
    )


ASKED_FOR = {
    "replay": ("since", "from when on? make replay SINCE=2h"),
    "attach": ("bus", "to which bus? make attach BUS=..."),
    **{
        name: ("order", f"which order? name it by its id: make {name} ORDER=...")
        for name in ("logs", "timeline", "trace")
    },
}
"""What each command cannot do without, and what to say where `make` has passed it on empty."""

NO_CLOUD = (
    "on which cloud? `make up` starts one on this machine (without make: then `. .local/env`); AWS_PROFILE names an "
    "account on AWS"
)


def main() -> None:
    """Raises OpsError, and what boto3 raises."""
    arguments = parser.parse_args()
    needed, question = ASKED_FOR.get(arguments.command, ("command", ""))
    if not getattr(arguments, needed):
        raise OpsError(question)
    require_running(os.environ.get("AWS_ENDPOINT_URL", ""))
    runs()[arguments.command](arguments)


def runs() -> dict[str, Callable[[argparse.Namespace], None]]:
    """What runs each command."""
    return {
        "failed": _failed,
        "redrive": _redrive,
        "logs": _logs,
        "replay": _replay,
        "timeline": _timeline,
        "sagas": _sagas,
        "flow": _flow,
        "attach": _attach,
        "console": _console,
        "trace": _trace,
        "smoke": _smoke,
        "load": _load,
    }


def _failed(arguments: argparse.Namespace) -> None:
    _end_like_ctrl_c()
    stacks, sqs = Stack.with_timelines(arguments.stack_name, boto3.client("cloudformation")), boto3.client("sqs")
    found, missed = _look(arguments, stacks, sqs)
    if arguments.json:
        print(failed.as_json(found, failed.names_of(stacks)))
    else:
        failed.show(found, failed.names_of(stacks), Console(highlight=False), missed)


def _look(arguments: argparse.Namespace, stacks: list[Stack], sqs: SQSClient) -> tuple[list[failed.FailedEvent], int]:
    """What is in the queues, and about how many messages more SQS did not hand out."""
    queues, aside = failed.failed_queues(stacks, sqs, arguments.service), Console(stderr=True, highlight=False)
    with aside.status("Looking into the queues") as status:
        sight = failed.Sight(status.update)
        found = failed.look(queues, sqs, arguments.order, sight)
    for queue, missed in sight.missed.items():
        aside.print(
            f"This may not be all of {queue.service}: SQS counts about {missed} more. Another command holds them, or "
            f"one that was killed: then they are back at about {failed.hidden_until(sight.seen[queue] + missed)}. Or "
            "they are more than SQS hands out at once. Redrive what is listed, and look again."
        )
    for queue, number in sight.not_given_back.items():
        if number:
            aside.print(failed.not_given_back(queue, number, sight.about[queue]))
    return found, sight.missed.total()


def _redrive(arguments: argparse.Namespace) -> None:
    from ops.redriven import bus_of, telling  # not above: it needs functions/

    _end_like_ctrl_c()
    console = Console(highlight=False)
    stacks, sqs = Stack.with_timelines(arguments.stack_name, boto3.client("cloudformation")), boto3.client("sqs")
    names = failed.names_of(stacks)
    # one attempt: a client that times out and repeats would send an event twice at once
    config = Config(read_timeout=redrive.LONGEST_CALL_SECONDS, retries={"total_max_attempts": 1})
    if runs_here(sqs):
        config = config.merge(Config(inject_host_prefix=False))  # there is no sync-127.0.0.1
    consumers = redrive.Consumers(
        redrive.addresses(stacks), boto3.client("lambda", config=config), boto3.client("stepfunctions", config=config)
    )
    planned, missed = _look(arguments, stacks, sqs)
    well = not missed
    if not planned:
        failed.show(planned, names, console, missed)
    elif arguments.dry_run:
        well &= redrive.rehearse(planned, consumers, names, console)
    else:
        if not runs_here(sqs) and not arguments.yes:
            failed.show(planned, names, console, missed)
            _confirm("nothing was sent")
        bus = bus_of(stacks[0])
        tell_bus = telling(bus, boto3.client("events"), names) if bus else redrive.nobody
        well &= redrive.redrive(planned, consumers, sqs, names, console, tell_bus)
    if not well:
        sys.exit(1)


def _logs(arguments: argparse.Namespace) -> None:
    console = Console(highlight=False)
    since = moment("--since", arguments.since, datetime.now(UTC))
    stacks = Stack.with_timelines(arguments.stack_name, boto3.client("cloudformation"))
    groups = logs.groups_of(stacks, boto3.client("lambda"))
    cloudwatch = boto3.client("logs", config=Config(retries={"mode": "standard", "total_max_attempts": 10}))

    if arguments.follow:
        no_quota = math.inf
        per_second = no_quota if runs_here(cloudwatch) else logs.CALLS_PER_SECOND
        logs.follow(arguments.order, groups, cloudwatch, since, console, per_second)
        return
    with Console(stderr=True).status("Reading the logs"):
        lines = logs.lines_about(arguments.order, groups, cloudwatch, since)
    logs.show(lines, console)
    if not lines:
        raise OpsError(f"no log names {arguments.order!r} since {since:%Y-%m-%d %H:%M:%S} UTC; further back: SINCE=1d")


def _timeline(arguments: argparse.Namespace) -> None:
    # not above, here and below: a replay needs nothing of functions/
    from ops import sagas, timeline
    from ops.drawing import draw

    console, stack = _drawn(arguments), Stack.timeline(arguments.stack_name, boto3.client("cloudformation"))
    table = timeline.table_of(stack)
    saga, several = timeline.meant_by(arguments.order, table, stack.name)
    if not saga:
        sagas.show(several, table, Console(highlight=False), as_json=arguments.json)
    elif arguments.json:
        print(timeline.as_json(saga, table))
    else:
        draw(timeline.told(saga, table), console)


def _sagas(arguments: argparse.Namespace) -> None:
    from ops import sagas, timeline

    now = datetime.now(UTC)
    since = moment("--since", arguments.since, now) if arguments.since else datetime.fromtimestamp(0, UTC)
    until = moment("--until", arguments.until, now) if arguments.until else now
    if since > until:
        raise OpsError("--since must be before --until")
    asked = sagas.Asked.of(arguments)
    table = timeline.table_of(Stack.timeline(arguments.stack_name, boto3.client("cloudformation")))
    with Console(stderr=True).status("Reading the newest sagas"):
        found = timeline.look(table, sagas.between(since, until), asked.wanted, asked.limit, asked.find)
    sagas.show(found, table, Console(highlight=False), as_json=arguments.json)


def _flow(arguments: argparse.Namespace) -> None:
    from ops import flow, timeline

    console, now = _drawn(arguments), datetime.now(UTC)
    since = moment("--since", arguments.since, now) if arguments.since else None
    against = flow.span("--against", arguments.against, now) if arguments.against else None
    stack = Stack.timeline(arguments.stack_name, boto3.client("cloudformation"))
    with Console(stderr=True).status("Reading the newest sagas"):
        counted = flow.flow_of(timeline.table_of(stack), since, against)
    if arguments.json:
        print(flow.as_json(counted))
    else:
        flow.show(counted, stack.name, console)


def _attach(arguments: argparse.Namespace) -> None:
    from ops.attach import attach  # not above: it needs functions/

    _end_like_ctrl_c()
    attach(arguments, Console(highlight=False), _confirm)


def _drawn(arguments: argparse.Namespace) -> Console:
    """Raises OpsError if that is too narrow."""
    if arguments.width is not None and arguments.width < 60:
        raise OpsError(f"--width is 60 at least, not {arguments.width}")
    return Console(highlight=False, width=arguments.width)


def _console(arguments: argparse.Namespace) -> None:
    cloudformation = boto3.client("cloudformation")
    stacks = Stack.with_timelines(arguments.stack_name, cloudformation)
    show_consoles(stacks, cloudformation.meta.endpoint_url, os.environ, Console(highlight=False))


def _trace(arguments: argparse.Namespace) -> None:
    cloudformation = boto3.client("cloudformation")
    xray = boto3.client("xray", config=Config(retries={"mode": "standard"}))  # three attempts are enough to wait for
    stack = Stack.named(arguments.stack_name, cloudformation)
    header = trace_header(arguments.order, stack, boto3.client("dynamodb"))
    elsewhere, console = cloudformation.meta.endpoint_url, Console(highlight=False)
    for trace in traces_of(arguments.order, header, lambda trace_id: documents(trace_id, xray, elsewhere)):
        for line in trace.drawn():
            console.print(line, soft_wrap=True)


def _smoke(arguments: argparse.Namespace) -> None:
    from ops import smoke  # not above: it needs functions/
    from ops.smoke.deployed import Deployed

    _end_like_ctrl_c()
    console = Console(highlight=False)
    at = Deployed.named(arguments.stack_name)
    with_poison = smoke.poisons(arguments.poison, at.here, at.shop)
    if not at.here and not arguments.yes:
        console.print(Text(smoke.plan(at, with_poison)))
        _confirm("nothing was done")
    if not smoke.smoke(at, with_poison, arguments.junit, console):
        sys.exit(1)


def _load(arguments: argparse.Namespace) -> None:
    from ops import load  # not above: it needs functions/
    from ops.smoke.deployed import Deployed

    _end_like_ctrl_c()
    wanted = load.Wanted(arguments.rate, arguments.seconds, arguments.in_flight)
    console = Console(highlight=False)
    at = Deployed.named(arguments.stack_name)
    if not at.here and not arguments.yes:
        console.print(Text(load.plan(at, wanted)))
        _confirm("nothing was done")
    if not load.load(at, wanted, arguments.picture, console):
        sys.exit(1)


def _replay(arguments: argparse.Namespace) -> None:
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
            _confirm("nothing was replayed")
    follow(events, start(events, replay, target, now), console)


ENDINGS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
"""A pipeline that is cancelled; a terminal or a connection that is lost, which Windows has no signal for."""


def _end_like_ctrl_c() -> None:
    """These signals end the command as Ctrl-C does, so that it cleans up. What `nohup` ignores stays ignored."""
    for ending in ENDINGS:
        if signal.getsignal(ending) == signal.SIG_DFL:
            signal.signal(ending, _interrupt)


def _interrupt(*_: object) -> None:
    for ending in ENDINGS:
        signal.signal(ending, signal.SIG_IGN)  # they often come twice, and the second would cut that short
    raise KeyboardInterrupt


def _confirm(otherwise: str) -> None:
    """Raises OpsError, which says `otherwise`, unless someone is there and says yes."""
    try:
        agreed = input("Go on? [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        raise OpsError("nobody answers: run it with --yes (make: YES=1)") from None
    if not agreed:
        raise OpsError(otherwise)


def _told(error: Exception) -> str:
    """What boto3 raised, with what to do about it."""
    if isinstance(error, NoCredentialsError | NoRegionError) and not boto3.Session().get_credentials():
        return NO_CLOUD
    if isinstance(error, NoRegionError):
        return "in which region? set AWS_DEFAULT_REGION"
    return f"{error} (is the environment that of the right AWS account? locally: `. .local/env`)"


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
        sys.exit(f"error: {_told(error)}")
