"""Lets containers in to a cloud that listens only on 127.0.0.1."""

import errno
import socket
import socketserver
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Thread

CHUNK = 64 * 1024


class _Doorway(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    inner: int


class _Passage(socketserver.BaseRequestHandler):
    server: _Doorway

    def handle(self) -> None:
        with socket.create_connection(("127.0.0.1", self.server.inner)) as cloud:
            answers = Thread(target=_pour, args=(cloud, self.request), daemon=True)
            answers.start()
            _pour(self.request, cloud)
            answers.join()


@contextmanager
def doorway(address: str, port: int) -> Iterator[str]:
    """The URL by which containers reach this machine's 127.0.0.1:`port` while this lasts.

    `address` is the Docker bridge's: nobody but containers can come this way. Where Docker keeps its bridge in a
    virtual machine (Docker Desktop), it passes them on to the host's own 127.0.0.1 itself.
    """
    try:
        server = _Doorway((address, 0), _Passage)
    except OSError as error:
        if error.errno != errno.EADDRNOTAVAIL:
            raise
        yield f"http://host.docker.internal:{port}"
        return
    server.inner = port
    with server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://{address}:{server.server_address[1]}"
        finally:
            server.shutdown()


def _pour(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while chunk := source.recv(CHUNK):
            target.sendall(chunk)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
