"""Attaches a timeline to any bus: looks at its events, proposes the parameters, shows what they make, deploys."""

from __future__ import annotations

import argparse
import getpass
import os
import secrets
import shlex
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import ClientError
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from eventflow import clock
from ops import OpsError
from ops.attach import sample
from ops.attach.machine import ROOT, Machine, wrong
from ops.attach.proposal import NO_TYPE, Event, Guess, propose
from ops.drawing import draw
from ops.people import make_operator
from ops.plain import plain
from ops.stack import Stack, is_here, reachable
from timeline import sagas
from timeline.sagas import Saga, Vocabulary

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient

MOST_DRAWN = 2


def attach(arguments: argparse.Namespace, console: Console, confirm: Callable[[str], None]) -> None:
    """`confirm` asks, and raises OpsError, which says what it is given, unless the answer is yes. Raises OpsError."""
    given = ({"OnlySources": arguments.sources} if arguments.sources else {}) | _given(arguments.set)
    cloudformation = boto3.client("cloudformation")
    here = is_here(cloudformation.meta.endpoint_url)
    stack_name = arguments.stack_name or f"{arguments.bus.replace('_', '-').replace('.', '-')}-timeline"
    _refuse_another(stack_name, arguments.pool, cloudformation)
    if arguments.pool:
        _require(arguments.pool, boto3.client("cognito-idp"))
    events = _events(arguments, console)
    guesses = {name: guess for name, guess in propose(events).items() if name not in given}
    chosen = {name: guess.value for name, guess in guesses.items()} | given
    _show(events, guesses, given, console)
    if why := wrong(chosen):
        raise OpsError(f"{why}. Say it otherwise by --set (make: SET='Noun=parcel CorrelationId=detail.ref')")
    preview(events, chosen, console)
    console.print(Text(_plan(stack_name, arguments, here)), soft_wrap=True)
    if not arguments.yes:
        confirm("nothing was deployed")
    parameters = {"EventBusName": arguments.bus, "UserPoolId": arguments.pool, **chosen} | _of_this_machine(here)
    stack = _deployed(stack_name, parameters, cloudformation, console)
    address = reachable(stack.output("ConsoleUrl"), cloudformation.meta.endpoint_url)
    console.print(Text(f"\nThe timeline of {arguments.bus}: {address}", "bold"), soft_wrap=True)
    _invite(stack, arguments, console)
    console.print(
        Text(
            f"\n  make sagas STACK_NAME={stack_name}     # and make flow, make timeline ORDER=...\n"
            f"  sam delete --stack-name {stack_name}   # take it away; the bus notices nothing"
        ),
        soft_wrap=True,
    )


def _given(text: str) -> dict[str, str]:
    """Of "Noun=parcel CorrelationId='detail.a ? detail.a : detail.b'"."""
    try:
        pairs = [part.partition("=") for part in shlex.split(text)]
    except ValueError as error:
        raise OpsError(f"--set {text!r} cannot be read: {error}") from None
    if bad := [name for name, equals, _ in pairs if not equals]:
        raise OpsError(f"--set takes NAME=VALUE, not {bad[0]!r}; a value with spaces stands in quotes")
    return {name: value for name, _, value in pairs}


def _events(arguments: argparse.Namespace, console: Console) -> Sequence[Event]:
    """From the file that is named, or heard on the bus. Raises OpsError."""
    if arguments.sample:
        return sample.read(Path(arguments.sample))
    if not 1 <= arguments.seconds <= sample.LONGEST_SECONDS:
        raise OpsError(f"--seconds is from 1 to {sample.LONGEST_SECONDS}, not {arguments.seconds}")
    eventbridge, sqs = boto3.client("events"), boto3.client("sqs")
    try:
        for name in sample.take_away_stale(arguments.bus, eventbridge, sqs):
            console.print(f"Removed what an earlier attempt left behind: {name}", markup=False)
    except eventbridge.exceptions.ResourceNotFoundException:
        raise OpsError(
            f"there is no bus {arguments.bus} in {eventbridge.meta.region_name}: make attach BUS=..."
        ) from None
    heard: list[Event] = []
    columns = TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn()
    console.print(
        f"Listen to the bus {arguments.bus} for {arguments.seconds:g} s; Ctrl-C ends it and removes the rule",
        markup=False,
    )
    sources = [it for it in arguments.sources.split(",") if it]
    with (
        sample.listening(arguments.bus, sources, eventbridge, sqs) as received,
        Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress,
    ):
        task = progress.add_task("0 events", total=arguments.seconds)
        started = time.monotonic()
        while (passed := time.monotonic() - started) < arguments.seconds and len(heard) < sample.MOST_EVENTS:
            heard += received()
            progress.update(task, completed=passed, description=f"{len(heard)} events")
    if not heard:
        raise OpsError(
            f"nothing came on {arguments.bus} in {arguments.seconds:g} s. On AWS it takes up to a minute until a new "
            "rule listens: SECONDS=300; or show an event: SAMPLE=event.json; events of AWS itself: SOURCES=aws.s3"
        )
    return heard


def _show(events: Sequence[Event], guesses: Mapping[str, Guess], given: Mapping[str, str], console: Console) -> None:
    types = Counter(f"{event['detail-type']} of {event['source']}" for event in events)
    console.print(Text(f"{len(events)} event{'' if len(events) == 1 else 's'} of {len(types)} types:", "bold"))
    for kind, count in types.most_common(20):
        console.print(Text(f"  {count:5} {plain(kind)}"), soft_wrap=True)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("parameter", no_wrap=True)
    table.add_column("proposed", overflow="fold")
    table.add_column("because", overflow="fold")
    for name, value in given.items():
        table.add_row(name, Text(plain(value)), Text("you say so", "dim"))
    for name, guess in guesses.items():
        table.add_row(name, Text(plain(guess.value)), Text(plain(guess.why), "dim"))
    console.print("")
    console.print(table)
    if guesses.get("GoodOutcomes", Guess("", "")).value == NO_TYPE:
        console.print(
            Text("Without a good outcome no saga ends: name it, SET='GoodOutcomes=ParcelDelivered'", "yellow")
        )


def preview(events: Sequence[Event], parameters: Mapping[str, str], console: Console) -> list[Saga]:
    """Draw the sagas that tell most, as the state machine would keep them with these parameters. Raises OpsError."""
    machine = Machine(parameters)
    with Console(stderr=True).status("Evaluating the state machine's expressions"):
        found = machine.sagas(events)
    placed = sum(len(saga.events) for saga in found)
    noun = machine.parameters["Noun"]
    console.print(Text(f"\nWith these, {placed} of {len(events)} events are placed, in {len(found)} {noun}s.", "bold"))
    vocabulary = Vocabulary.of(*[machine.parameters[name] for name in ("GoodOutcomes", "BadOutcomes", "Compensations")])
    telling = sorted(found, key=lambda saga: (-len({event.type for event in saga.events}), -len(saga.events)))
    for saga in telling[:MOST_DRAWN]:
        console.print("")
        stuck_after = int(machine.parameters["StuckAfterSeconds"]) * 1000
        draw(sagas.told(saga, vocabulary, max(clock.now(), saga.summary.last_at), stuck_after), console)
    console.print("")
    return found


def _plan(stack_name: str, arguments: argparse.Namespace, here: bool) -> str:
    pool = f"the users of the pool {arguments.pool}" if arguments.pool else "users of a pool of its own"
    where = "on the embedded cloud" if here else "on AWS (docs/timeline.md says what it costs)"
    only = f"It adds a rule to the bus {arguments.bus}, and changes nothing else."
    return f"Deploy the stack {stack_name} {where}, for {pool}? {only}"


def _of_this_machine(here: bool) -> dict[str, str]:
    """The emulator runs functions on the interpreter and the processor that it runs on itself."""
    if not here:
        return {}
    from local.stack import HOST  # of the embedded cloud only

    return dict(HOST)


def _refuse_another(stack_name: str, pool: str, cloudformation: CloudFormationClient) -> None:
    """Raises OpsError if there is a stack of this name that is no timeline, or one for the users of another stack: to
    deploy over it would take it away, or its users.
    """
    stacks = (it for page in cloudformation.get_paginator("describe_stacks").paginate() for it in page["Stacks"])
    found = next((it for it in stacks if it["StackName"] == stack_name), None)
    if found is None:
        return
    if "TimelineApiUrl" not in {output["OutputKey"] for output in found.get("Outputs", ())}:
        raise OpsError(f"the stack {stack_name} is no timeline: name another by STACK_NAME=...")
    parameters = {it["ParameterKey"]: it["ParameterValue"] for it in found.get("Parameters", ())}
    if (theirs := parameters.get("UserPoolId")) and theirs != pool:
        raise OpsError(
            f"{stack_name} is a timeline of the users of {theirs} already: attach one more by STACK_NAME=..., "
            f"or, to change that one, say POOL={theirs}"
        )


def _require(pool: str, cognito: Any) -> None:
    """Raises OpsError if there is no such pool: the deployment would say so only after minutes.

    `cognito` is a boto3 `cognito-idp` client.
    """
    try:
        cognito.describe_user_pool(UserPoolId=pool)
    except (cognito.exceptions.ResourceNotFoundException, cognito.exceptions.InvalidParameterException):
        raise OpsError(f"there is no user pool {pool}: POOL is EventFlow's output UserPoolId") from None


def _deployed(
    stack_name: str, parameters: Mapping[str, str], cloudformation: CloudFormationClient, console: Console
) -> Stack:
    """By the real `sam build` and `sam deploy`. Raises OpsError."""
    machine = {
        "PYTHON_RUNTIME": parameters.get("PythonRuntime", ""),
        "ARCHITECTURE": parameters.get("Architecture", ""),
    }
    overrides = ["--parameter-overrides", *[f'{name}="{value}"' for name, value in parameters.items()]]
    with console.status("Build: sam build"):
        _sam(["build", *overrides], {name: value for name, value in machine.items() if value})
    with console.status(f"Deploy {stack_name}: sam deploy"):
        deploy = ["deploy", "--stack-name", stack_name, "--s3-prefix", stack_name, "--region"]
        deploy += [cloudformation.meta.region_name, "--no-confirm-changeset", "--no-fail-on-empty-changeset"]
        _sam([*deploy, *overrides], {})
    return Stack.named(stack_name, cloudformation)


def _sam(arguments: Sequence[str], environment: Mapping[str, str]) -> None:
    command, *options = arguments
    binaries = str(Path(sys.executable).parent)
    # the makefiles that sam runs are to find the Python that runs this
    path = {"PATH": os.pathsep.join([binaries, os.environ.get("PATH", os.defpath)]), "SAM_CLI_TELEMETRY": "0"}
    finished = subprocess.run(
        [f"{binaries}/sam", command, "--config-env", "timeline", *options],
        cwd=ROOT,
        env={**os.environ, **path, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    if finished.returncode:
        last = " / ".join(line.strip() for line in finished.stdout.strip().splitlines()[-6:])
        raise OpsError(f"sam {command} failed: {last}")


def _invite(stack: Stack, arguments: argparse.Namespace, console: Console) -> None:
    """Make the pool's first operator, if the pool is the stack's own; else say who may look."""
    pool = stack.output("UserPoolId")
    if arguments.pool:
        console.print(
            Text(f"  Sign in as a user of the pool {pool}; its group operators sees everything."), soft_wrap=True
        )
        return
    asks = sys.stdin.isatty() and not arguments.yes
    username = (
        arguments.operator or (input("Its first operator's name [operator]: ").strip() if asks else "") or "operator"
    )
    typed = getpass.getpass(f"A password for {username} [empty: make one]: ") if asks else ""
    password = typed or f"{secrets.token_urlsafe(12)}-aA1"  # the suffix meets any password policy
    try:
        is_new = make_operator(boto3.client("cognito-idp"), pool, username, password)
    except ClientError as error:
        raise OpsError(
            f"the timeline is deployed, but {username} could not be made: {error.response['Error'].get('Message')}. "
            "Run this again"
        ) from None
    shown = "the password that you gave" if typed else f"password {password} (it is shown only here)"
    if not is_new:
        shown = "the password that it has: there was one of this name"
    console.print(Text(f"  Sign in as {username}, {shown}"), soft_wrap=True)
