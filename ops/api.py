"""EventFlow's HTTP API, as one signed-in person sees it."""

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ops import OpsError
from ops.stack import is_here

_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy could not reach 127.0.0.1
_as_set_up = urllib.request.build_opener()  # on AWS, by the user's proxy if there is one


class ErrorAnswer(OpsError):
    """The API answered, with a status other than 2xx."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Api:
    """`url` ends with the stage; `token` goes into the Authorization header, unless it is empty."""

    url: str
    token: str = field(repr=False)

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None, **headers: str) -> dict[str, Any]:
        """The answer's JSON. In names of headers, write _ for -. Raises ErrorAnswer, or OpsError for no answer."""
        request = urllib.request.Request(
            self.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={name.replace("_", "-"): value for name, value in headers.items()}
            | {"Content-Type": "application/json"}
            | ({"Authorization": self.token} if self.token else {}),
        )
        opener = _direct if is_here(self.url) else _as_set_up
        try:
            with opener.open(request, timeout=30) as response:
                return dict(json.loads(response.read() or "{}"))
        except urllib.error.HTTPError as error:
            answer = error.read().decode(errors="replace")
            raise ErrorAnswer(f"{method} {path} was answered {error.code}: {answer}", error.code) from None
        except OSError as error:
            raise OpsError(f"{method} {path} was not answered: {error}") from None
