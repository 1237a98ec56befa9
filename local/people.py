"""The people of the demo: two shoppers and an operator, with tokens for the API."""

import base64
import json
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Person:
    """`sub` is Cognito's id for the person, `token` an IdToken: the Authorization header, for an hour."""

    username: str
    password: str
    sub: str
    token: str


@dataclass(frozen=True)
class People:
    shopper: Person
    other_shopper: Person
    operator: Person


def sign_in_everyone(
    cognito: Any, user_pool_id: str, client_id: str, passwords: Mapping[str, str] | None = None
) -> People:
    """Create whoever is missing and sign all of them in. `cognito` is a boto3 `cognito-idp` client.

    `passwords` are those that are known, by username. One that still works is kept.
    """

    def person(name: str, *groups: str) -> Person:
        username = f"{name}@example.com"
        return sign_in(cognito, user_pool_id, client_id, username, groups, (passwords or {}).get(username, ""))

    return People(person("ada"), person("grace"), person("olive", "operators"))


def sign_in(
    cognito: Any, user_pool_id: str, client_id: str, username: str, groups: tuple[str, ...] = (), password: str = ""
) -> Person:
    """Sign in with the password, if it still works. If not, create the person, unless there is one of this name (an
    e-mail address), and sign in with a new password.
    """
    if password:
        with suppress(cognito.exceptions.NotAuthorizedException, cognito.exceptions.UserNotFoundException):
            return _signed_in(cognito, user_pool_id, client_id, username, password)
    user = {"UserPoolId": user_pool_id, "Username": username}
    password = f"{secrets.token_urlsafe(24)}-aA1"  # the suffix meets any password policy
    attributes = [{"Name": "email", "Value": username}, {"Name": "email_verified", "Value": "true"}]
    try:
        cognito.admin_create_user(**user, UserAttributes=attributes, MessageAction="SUPPRESS")
    except cognito.exceptions.UsernameExistsException:
        pass
    cognito.admin_set_user_password(**user, Password=password, Permanent=True)
    for group in groups:
        cognito.admin_add_user_to_group(**user, GroupName=group)
    return _signed_in(cognito, user_pool_id, client_id, username, password)


def _signed_in(cognito: Any, user_pool_id: str, client_id: str, username: str, password: str) -> Person:
    answer = cognito.admin_initiate_auth(
        UserPoolId=user_pool_id,
        ClientId=client_id,
        AuthFlow="ADMIN_USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": username, "PASSWORD": password},
    )
    token = answer["AuthenticationResult"]["IdToken"]
    return Person(username, password, _claims(token)["sub"], token)


def _claims(token: str) -> dict[str, Any]:
    payload = token.split(".")[1]
    return dict(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))))
