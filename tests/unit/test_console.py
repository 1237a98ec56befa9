"""What the console's page is told, and by whom it may be asked for."""

import json

import pytest

from .console import console


@pytest.mark.parametrize(
    ("environment", "sign_in_url", "may_connect_to"),
    [
        ({}, "https://cognito-idp.us-east-1.amazonaws.com", "'self' https://cognito-idp.us-east-1.amazonaws.com"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:4566"}, "/", "'self'"),
        (
            {"AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER": "https://sign-in.example"},
            *("https://sign-in.example", "'self' https://sign-in.example"),
        ),
    ],
    ids=["AWS", "an emulator", "another endpoint"],
)
def test_a_browser_signs_in_at_cognito_and_on_an_emulator_where_the_page_is(
    monkeypatch, environment, sign_in_url, may_connect_to
):
    # given
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    # when
    answer = console().handler({"path": "/console/config.json", "pathParameters": {"file": "config.json"}}, None)

    # then
    assert json.loads(answer["body"])["signInUrl"] == sign_in_url
    assert f"; connect-src {may_connect_to}; " in answer["headers"]["Content-Security-Policy"]
