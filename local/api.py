"""EventFlow's HTTP API, as one signed-in person sees it."""

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from local.cloud import CloudError

_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy could not reach 127.0.0.1


class ErrorAnswer(CloudError):
    """The API answered, with a status but 2xx."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Api:
    """`url` ends with the stage; `token` goes into the Authorization header."""

    url: str
    token: str

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None, **headers: str) -> dict[str, Any]:
        """The answer's JSON. In names of headers, _ stands for -. Raises ErrorAnswer, or CloudError for none."""
        request = urllib.request.Request(
            self.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={name.replace("_", "-"): value for name, value in headers.items()}
            | {"Authorization": self.token, "Content-Type": "application/json"},
        )
        try:
            with _direct.open(request, timeout=30) as response:
                return dict(json.loads(response.read() or "{}"))
        except urllib.error.HTTPError as error:
            answer = error.read().decode(errors="replace")
            raise ErrorAnswer(f"{method} {path} was answered {error.code}: {answer}", error.code) from None
        except OSError as error:
            raise CloudError(f"{method} {path} was not answered: {error}") from None
