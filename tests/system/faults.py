"""Faults at the boundary between a function and DynamoDB: calls refused, or the function killed once one is made."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.error import HTTPError
from urllib.request import Request

from .shop import Shop, direct

Call = Callable[[], tuple[int, bytes]]
"""Makes the call that the function wanted; returns status and body."""

Fault = Callable[[str, str, Call], tuple[int, bytes]]
"""(operation, request's body, call) -> what the function is answered."""

REFUSED = 400, b'{"__type": "com.amazon.coral.validate#ValidationException", "message": "injected by a test"}'
"""An answer that no SDK retries."""


@contextmanager
def fault_between(shop: Shop, function: str, fault: Fault) -> Iterator[None]:
    """While this lasts, the function's calls of DynamoDB go through `fault`."""

    class Proxy(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            operation = self.headers["X-Amz-Target"].partition(".")[2]

            def call() -> tuple[int, bytes]:
                request = Request(shop.cloud.endpoint + self.path, data=body, headers=dict(self.headers))
                try:
                    with direct.open(request, timeout=20) as response:
                        return response.status, response.read()
                except HTTPError as error:
                    return error.code, error.read()

            status, answer = fault(operation, body.decode(), call)
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.0")
            self.send_header("Content-Length", str(len(answer)))
            with suppress(BrokenPipeError):  # who asked may have been killed
                self.end_headers()
                self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    lambdas, name = shop.cloud.client("lambda"), shop.resources[function]
    before = lambdas.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    deployed = lambdas.get_alias(FunctionName=name, Name="live")["FunctionVersion"]
    proxy = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    Thread(target=proxy.serve_forever, daemon=True).start()
    detour = {"AWS_ENDPOINT_URL_DYNAMODB": f"http://127.0.0.1:{proxy.server_port}"}
    lambdas.update_function_configuration(FunctionName=name, Environment={"Variables": before | detour})
    broken = lambdas.publish_version(FunctionName=name)["Version"]
    lambdas.update_alias(FunctionName=name, Name="live", FunctionVersion=broken)
    try:
        yield
    finally:
        lambdas.update_alias(FunctionName=name, Name="live", FunctionVersion=deployed)
        lambdas.update_function_configuration(FunctionName=name, Environment={"Variables": before})
        proxy.shutdown()
        proxy.server_close()


def kill(shop: Shop, function: str) -> None:
    """Kill the function's sandboxes, at once and with no chance to tidy up."""
    subprocess.run(["pkill", "-KILL", "-f", f"{shop.cloud.state}.*{shop.resources[function]}"], check=True)
