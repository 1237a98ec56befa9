"""`python -m local.xray <daemon> <api>`: X-Ray, on two sockets that it inherits, by their file descriptors.

The API is moto's. It takes segments as they come, so the daemon puts them together first, as X-Ray does.
"""

import json
import logging
import socket
import sys
from collections.abc import Callable, Iterable
from threading import Thread
from typing import Any

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.moto_server.werkzeug_app import create_backend_app
from moto.xray.models import xray_backends
from werkzeug.serving import make_server

from local.cloud import REGION
from local.xray.collector import Collector
from ops import OpsError
from ops.trace import Trace

DRAWINGS = "/traces/"

traces = xray_backends[DEFAULT_ACCOUNT_ID][REGION]
api = create_backend_app("xray")


def collect(daemon: socket.socket) -> None:
    """Receive segments until the process ends."""
    collector = Collector()
    while True:
        datagram = daemon.recv(65536)
        try:
            segment = collector.take(datagram)
            if segment:
                traces.process_segment(json.dumps(segment))
        except Exception:
            logging.exception("not collected: %.200r", datagram)


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """moto's API, and GET /traces/<trace id>: the drawing that `make trace` makes."""
    path: str = environ["PATH_INFO"]
    if environ["REQUEST_METHOD"] != "GET" or not path.startswith(DRAWINGS):
        return api(environ, start_response)
    status, text = _drawing(path.removeprefix(DRAWINGS))
    headers = [("Content-Type", "text/plain; charset=utf-8"), ("X-Content-Type-Options", "nosniff")]
    start_response(status, headers)
    return [text.encode()]


def _drawing(trace_id: str) -> tuple[str, str]:
    try:
        found = traces.get_trace_ids([trace_id])["Traces"]
        trace = Trace.of(trace_id, [segment["Document"] for each in found for segment in each["Segments"]])
    except OpsError as error:
        return "404 Not Found", f"{error}\n"
    return "200 OK", "".join(f"{line.plain}\n" for line in trace.drawn())


def main() -> None:
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    daemon, api_socket = (int(descriptor) for descriptor in sys.argv[1:])
    Thread(target=collect, args=[socket.socket(fileno=daemon)], daemon=True).start()
    make_server("127.0.0.1", 0, application, threaded=True, fd=api_socket).serve_forever()


if __name__ == "__main__":
    main()
