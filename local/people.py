"""The people of the demo: two shoppers and an operator, with tokens for the API."""

from dataclasses import dataclass
from typing import Any

from ops.people import Person, sign_in


@dataclass(frozen=True)
class People:
    shopper: Person
    other_shopper: Person
    operator: Person


def sign_in_everyone(cognito: Any, user_pool_id: str, client_id: str) -> People:
    """Create whoever is missing and sign all of them in. `cognito` is a boto3 `cognito-idp` client."""

    def person(name: str, *groups: str) -> Person:
        return sign_in(cognito, user_pool_id, client_id, f"{name}@example.com", groups)

    return People(person("ada"), person("grace"), person("olive", "operators"))
