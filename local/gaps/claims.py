"""The claims of a token, as an API's functions see them."""

from typing import Any

from ministack.services import apigateway_v1


def join_claims_with_commas() -> None:
    """A REST API's Cognito authorizer hands a function its caller's groups as "a,b" (API Gateway Developer
    Guide, "Integrate a REST API with an Amazon Cognito user pool"). The emulator makes it "[a b]", as HTTP
    APIs do.
    """
    stringify = apigateway_v1._stringify_claims

    def stringify_claims(claims: dict[str, Any] | None) -> Any:
        return stringify({k: ",".join(v) if isinstance(v, list) else v for k, v in (claims or {}).items()})

    apigateway_v1._stringify_claims = stringify_claims
