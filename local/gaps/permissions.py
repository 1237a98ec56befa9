"""What a policy's conditions may ask of a call."""

import json
from typing import Any

from ministack.core import iam_actions

Json = dict[str, Any]


def tell_policies_what_is_put() -> None:
    """A policy on PutEvents may ask for the entries' sources and detail-types (Service Authorization Reference, "Amazon
    EventBridge": events:source, events:detail-type, both of several values). The emulator does not know these keys.
    """
    context_of_tags = iam_actions.request_tag_context

    def request_context(service: str, action: str, body: bytes, parameters: Json) -> Json:
        context: Json = context_of_tags(service, action, body, parameters)
        if action != "events:PutEvents":
            return context
        entries = json.loads(body).get("Entries", [])
        return {
            **context,
            "events:source": [entry.get("Source", "") for entry in entries],
            "events:detail-type": [entry.get("DetailType", "") for entry in entries],
        }

    iam_actions.request_tag_context = request_context
