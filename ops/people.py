"""Users of a stack's Cognito pool: made, signed in, taken away."""

import base64
import json
import secrets
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Person:
    """`sub` is Cognito's id for the person, `token` an IdToken: the Authorization header, for an hour."""

    username: str
    password: str = field(repr=False)
    sub: str
    token: str = field(repr=False)


def sign_in(
    cognito: Any, user_pool_id: str, client_id: str, username: str, groups: tuple[str, ...] = (), password: str = ""
) -> Person:
    """Sign in with the password, if it still works. If not, create the person, unless there is one of this name (an
    e-mail address), and sign in with a new password. `cognito` is a boto3 `cognito-idp` client.
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


def make_operator(cognito: Any, user_pool_id: str, username: str, password: str) -> bool:
    """Someone who sees everything, with a password that stays; False if there is one of this name, who keeps theirs."""
    user = {"UserPoolId": user_pool_id, "Username": username}
    try:
        cognito.admin_create_user(**user, MessageAction="SUPPRESS")
        is_new = True
    except cognito.exceptions.UsernameExistsException:
        is_new = (
            cognito.admin_get_user(**user).get("UserStatus") == "FORCE_CHANGE_PASSWORD"
        )  # an attempt that broke off
    if is_new:
        cognito.admin_set_user_password(**user, Password=password, Permanent=True)
    cognito.admin_add_user_to_group(**user, GroupName="operators")
    return is_new


def _signed_in(cognito: Any, user_pool_id: str, client_id: str, username: str, password: str) -> Person:
    answer = cognito.admin_initiate_auth(
        UserPoolId=user_pool_id,
        ClientId=client_id,
        AuthFlow="ADMIN_USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": username, "PASSWORD": password},
    )
    token = answer["AuthenticationResult"]["IdToken"]
    return Person(username, password, _claims(token)["sub"], token)


def take_away(cognito: Any, user_pool_id: str, username: str) -> None:
    """Delete the person, if there is one of this name."""
    try:
        cognito.admin_delete_user(UserPoolId=user_pool_id, Username=username)
    except cognito.exceptions.UserNotFoundException:
        pass


def _claims(token: str) -> dict[str, Any]:
    payload = token.split(".")[1]
    return dict(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))))
