"""The pages on which a browser shows docs/api/. Each holds its document: a page of a folder may fetch nothing."""

from __future__ import annotations

import json

from ops.schemas import Json

REDOC = "renderers/redoc-2.5.4.js"
ASYNCAPI = "renderers/asyncapi-react-component-3.2.1"

PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="connect-src 'none'; img-src data:; font-src data:">
<title>{title}</title>
{head}
<style>body {{ margin: 0 }}</style>
</head>
<body>
<!-- Made by `make schemas`. -->
<div id="document"></div>
<script id="source" type="application/json">{source}</script>
<script>
const source = JSON.parse(document.getElementById("source").textContent)
{show}
</script>
</body>
</html>
"""


def openapi_page(document: Json) -> str:
    return PAGE.format(
        title="EventFlow's API",
        head=f'<script src="{REDOC}"></script>',
        source=_in_script(document),
        show='Redoc.init(source, { hideDownloadButtons: true }, document.getElementById("document"))',
    )


def asyncapi_page(document: Json) -> str:
    return PAGE.format(
        title="EventFlow's bus",
        head=f'<link rel="stylesheet" href="{ASYNCAPI}.css">\n<script src="{ASYNCAPI}.js"></script>',
        source=_in_script(document),
        show='AsyncApiStandalone.render({ schema: source, config: { show: { errors: true } } }, '
        'document.getElementById("document"))',
    )  # fmt: skip


def _in_script(document: Json) -> str:
    """JSON that ends no script element, whatever its texts say."""
    return json.dumps(document, ensure_ascii=False).replace("<", "\\u003c")
