"""Where the timeline's console is, and how to sign in there."""

from __future__ import annotations

import sys
import webbrowser
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ops import OpsError
from ops.stack import Stack, is_here, reachable

if TYPE_CHECKING:
    from rich.console import Console


def show_consoles(stacks: Sequence[Stack], endpoint: str, environment: Mapping[str, str], console: Console) -> None:
    """Print the address of each console and how to sign in; open the first one where a browser is in reach.

    `stacks` are the shop's stack and the timelines on its bus; `endpoint` is that of AWS or of the embedded cloud.
    Raises OpsError if none of them has a console.
    """
    shop, *timelines = stacks
    addresses = [reachable(it.outputs["ConsoleUrl"], endpoint) for it in timelines if "ConsoleUrl" in it.outputs]
    if not addresses:
        raise OpsError(f"no timeline listens to the bus of {shop.name}: {_how_to_deploy(is_here(endpoint))}")
    for line in (*addresses, *how_to_sign_in(shop, is_here(endpoint), environment)):
        console.print(line, markup=False, soft_wrap=True)
    if console.is_terminal and has_screen(sys.platform, environment):
        webbrowser.open(addresses[0])


def how_to_sign_in(shop: Stack, here: bool, environment: Mapping[str, str]) -> list[str]:
    """Lines for the person at the terminal. `.local/env` holds the passwords of the demo's users."""
    if here and "OPERATOR_PASSWORD" in environment:
        return [
            f"  Every order: sign in as {environment['OPERATOR_EMAIL']}, password {environment['OPERATOR_PASSWORD']}",
            f"  One shopper's: as {environment['SHOPPER_EMAIL']}, password {environment['SHOPPER_PASSWORD']}",
        ]
    return [
        f"  Sign in as a user of the pool {shop.output('UserPoolId')}.",
        "  Members of its group operators see every order, others see their own.",
    ]


def has_screen(platform: str, environment: Mapping[str, str]) -> bool:
    """Whether a browser would open where the person is: not over SSH, and not in a container."""
    if "SSH_CONNECTION" in environment:
        return False
    return platform == "darwin" or bool({"DISPLAY", "WAYLAND_DISPLAY", "BROWSER"} & environment.keys())


def _how_to_deploy(here: bool) -> str:
    return "make up" if here else "deploy one, as the README says: sam deploy --config-env timeline"
