"""Signing in the people of the demo: a password that works is kept, and one that does not is replaced."""

import base64
import json

import boto3
import pytest
from botocore.stub import ANY, Stubber

from ops.api import Api
from ops.people import Person, sign_in

USER = {"UserPoolId": "pool", "Username": "olive@example.com"}


@pytest.fixture
def cognito():
    """Cognito, which has to be asked just what a test says."""
    with Stubber(boto3.client("cognito-idp")) as stub:
        yield stub
        stub.assert_no_pending_responses()


def expect_sign_in(cognito, password):
    claims = base64.urlsafe_b64encode(json.dumps({"sub": "olive's"}).encode()).decode().rstrip("=")
    cognito.add_response(
        "admin_initiate_auth",
        {"AuthenticationResult": {"IdToken": f"header.{claims}.signature"}},
        {
            "UserPoolId": "pool",
            "ClientId": "client",
            "AuthFlow": "ADMIN_USER_PASSWORD_AUTH",
            "AuthParameters": {"USERNAME": "olive@example.com", "PASSWORD": password},
        },
    )


def expect_new_password(cognito):
    cognito.add_client_error("admin_create_user", "UsernameExistsException")
    cognito.add_response("admin_set_user_password", {}, {**USER, "Password": ANY, "Permanent": True})
    cognito.add_response("admin_add_user_to_group", {}, {**USER, "GroupName": "operators"})
    expect_sign_in(cognito, ANY)


def signed_in(cognito, password):
    return sign_in(cognito.client, "pool", "client", "olive@example.com", ("operators",), password)


def test_a_password_that_still_works_is_kept(cognito):
    expect_sign_in(cognito, "known")
    person = signed_in(cognito, "known")
    assert (person.password, person.sub) == ("known", "olive's")


@pytest.mark.parametrize("refusal", ["NotAuthorizedException", "UserNotFoundException"])
def test_one_that_does_not_is_replaced(cognito, refusal):
    cognito.add_client_error("admin_initiate_auth", refusal)
    expect_new_password(cognito)
    assert signed_in(cognito, "known").password not in ("", "known")


def test_who_is_not_known_gets_one(cognito):
    expect_new_password(cognito)
    assert len(signed_in(cognito, "").password) > 30


def test_what_lets_a_person_in_is_not_shown_where_the_person_is():
    assert repr(Person("olive", "s3cr3t", "olive's", "s3cr3t")) == "Person(username='olive', sub=\"olive's\")"
    assert repr(Api("https://api", "s3cr3t")) == "Api(url='https://api')"
