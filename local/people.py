"""The people of the demo: two shoppers and an operator, with tokens for the API."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ops.people import Person, sign_in


@dataclass(frozen=True)
class People:
    shopper: Person
    other_shopper: Person
    operator: Person


def sign_in_everyone(
    cognito: Any, user_pool_id: str, client_id: str, passwords: Mapping[str, str] | None = None
) -> People:
    """Create those who are missing and sign all of them in. `cognito` is a boto3 `cognito-idp` client.

    `passwords` are those that are known, by username. One that still works is kept.
    """

    def person(name: str, *groups: str) -> Person:
        username = f"{name}@example.com"
        return sign_in(cognito, user_pool_id, client_id, username, groups, (passwords or {}).get(username, ""))

    return People(person("ada"), person("grace"), person("olive", "operators"))
