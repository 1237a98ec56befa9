"""X-Ray on this machine: a daemon for what functions send, and the API that `aws xray` reads, as one process.

If it dies, the shop goes on without traces: nobody waits for it.
"""

import os
import socket
import sys
from pathlib import Path

from local.program import Program


def start(state: Path, daemon_port: int = 0) -> int:
    """Start it, or keep the one that runs; returns the UDP port of its daemon, which is `daemon_port` if that is free.

    The sockets are made here and inherited, so that nobody can take their ports meanwhile, and what is sent before the
    process reads them waits in them.
    """
    found = _program(state).found
    if found:
        return found["daemon_port"]
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as daemon,
        socket.create_server(("127.0.0.1", 0), backlog=50) as api,
    ):
        daemon.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)  # a burst of orders is thousands of segments
        _bind(daemon, daemon_port)
        sockets = [daemon.fileno(), api.fileno()]
        command = [sys.executable, "-m", "local.xray", *map(str, sockets)]
        environment = {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8", "TZ": "UTC"}
        ports: dict[str, int] = {"port": api.getsockname()[1], "daemon_port": daemon.getsockname()[1]}
        _program(state).start(command, environment, sockets, **ports)
    return ports["daemon_port"]


def stop(state: Path) -> None:
    _program(state).stop()


def endpoint(state: Path) -> str | None:
    """Where its API is, if it runs."""
    found = _program(state).found
    return f"http://127.0.0.1:{found['port']}" if found else None


def _bind(daemon: socket.socket, port: int) -> None:
    try:
        daemon.bind(("127.0.0.1", port))
    except OSError:
        daemon.bind(("127.0.0.1", 0))  # taken since: there are no traces until `make down` and `make up`


def _program(state: Path) -> Program:
    return Program(state, "xray")
