"""Serves the timeline console to anyone who asks: its own files and its settings, neither of which is a secret."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

CONTENT_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
}

REGION = os.environ["AWS_REGION"]
# An emulator answers for all of AWS where this page is, by whatever name and port a browser reaches it.
SIGN_IN_URL = os.environ.get("AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER") or (
    "/" if os.environ.get("AWS_ENDPOINT_URL") else f"https://cognito-idp.{REGION}.amazonaws.com"
)
X_RAY = f"https://{REGION}.console.aws.amazon.com/cloudwatch/home?region={REGION}#xray:traces/{{traceId}}"
SETTINGS = {
    "userPoolClientId": os.environ["USER_POOL_CLIENT_ID"],
    "signInUrl": SIGN_IN_URL,
    "traceUrl": os.environ.get("TRACE_URL") or X_RAY,
    "title": os.environ.get("TITLE") or "EventFlow",
    "noun": os.environ.get("NOUN") or "order",
}

FILES = {
    path.name: path.read_text(encoding="utf-8")
    for path in Path(__file__).parent.iterdir()
    if path.suffix in CONTENT_TYPES
} | {"config.json": json.dumps(SETTINGS)}
"""All that can be asked for, by name: no path of a request ever reaches the file system."""

HEADERS = {
    "Content-Security-Policy": "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self'",
            " ".join(["connect-src 'self'", *([] if SIGN_IN_URL == "/" else [SIGN_IN_URL])]),
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            # An event may hold anything. The browser itself refuses to take text for markup.
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        )
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Referrer-Policy": "no-referrer",
    "Strict-Transport-Security": "max-age=31536000",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}


def handler(event: Mapping[str, Any], context: object) -> dict[str, Any]:
    """Answer GET /console, the page, and GET /console/{file}, what belongs to it: 200, 304, or 404."""
    name = (event.get("pathParameters") or {}).get("file")
    # The page has one address: from another, as with a slash at its end, its relative links would lead nowhere.
    if event["path"].endswith("/") or name == "index.html" or (name or "index.html") not in FILES:
        return _answer(404, "text/plain; charset=utf-8", "Not found\n")
    return _file(name or "index.html", event.get("headers") or {})


def _file(name: str, request_headers: Mapping[str, str]) -> dict[str, Any]:
    body = FILES[name]
    etag = f'"{hashlib.sha256(body.encode()).hexdigest()[:32]}"'
    known = next((value for key, value in request_headers.items() if key.lower() == "if-none-match"), "")
    unchanged = etag in known  # a list of tags, each perhaps marked weak by a proxy that compressed
    content_type = CONTENT_TYPES[Path(name).suffix]
    return _answer(304 if unchanged else 200, content_type, "" if unchanged else body, ETag=etag)


def _answer(status: int, content_type: str, body: str, **headers: str) -> dict[str, Any]:
    return {"statusCode": status, "headers": HEADERS | {"Content-Type": content_type} | headers, "body": body}
