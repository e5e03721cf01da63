"""Signing in: the emulator's own tokens, made and checked (RFC 6750; JWTs in place of Microsoft Entra ID's)."""

import time
from dataclasses import dataclass
from typing import Any

import jwt

REMEMBERED = 256  # tokens that were found to be good
AUDIENCE = "https://dicom.healthcareapis.azure.com"
ISSUER = "dicom-service-emulator"
ALL_ACTIONS = frozenset({"read", "write", "delete", "manageExtendedQueryTags", "export"})
ROLES = {
    "owner": ("DICOM Data Owner", ALL_ACTIONS),
    "reader": ("DICOM Data Reader", frozenset({"read"})),
}


class InvalidToken(ValueError):
    """The token is malformed, expired, for another audience, or signed by somebody else."""


@dataclass(frozen=True)
class Token:
    """A bearer token and when it expires, in seconds since 1970."""

    text: str
    expires_on: int


class TokenIssuer:
    """Makes and checks tokens with one secret."""

    def __init__(self, secret: bytes, lifetime: int):
        self._secret, self._lifetime = secret, lifetime
        self._good: dict[str, tuple[float, frozenset[str]]] = {}  # token -> when it expires, what it allows

    def issue(self, person: str, lifetime: int | None = None) -> Token:
        """A token for "owner" or "reader", valid for `lifetime` seconds."""
        now = int(time.time())
        expires_on = now + (self._lifetime if lifetime is None else lifetime)
        claims = {
            "aud": AUDIENCE,
            "iss": ISSUER,
            "sub": person,
            "roles": [ROLES[person][0]],
            "iat": now,
            "nbf": now,
            "exp": expires_on,
        }
        return Token(jwt.encode(claims, self._secret, algorithm="HS256"), expires_on)

    def actions(self, authorization: str | None) -> frozenset[str]:
        """The data actions that an Authorization header allows. Raises InvalidToken."""
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer":
            raise InvalidToken("no bearer token")
        expires_on, actions = self._good.get(token, (0, frozenset()))
        if time.time() < expires_on:
            return actions
        claims = self._check(token.strip())
        if len(self._good) >= REMEMBERED:
            self._good.clear()
        self._good[token] = int(claims["exp"]), allowed(claims)
        return allowed(claims)

    def _check(self, token: str) -> dict[str, Any]:
        """The claims of a token. Raises InvalidToken."""
        try:
            return jwt.decode(
                token,
                self._secret,
                algorithms=["HS256"],
                audience=[AUDIENCE, AUDIENCE + "/"],
                issuer=ISSUER,
                options={"require": ["exp", "aud", "iss"]},
            )
        except jwt.InvalidTokenError as error:
            raise InvalidToken(str(error)) from None


def allowed(claims: dict[str, Any]) -> frozenset[str]:
    """The data actions of the roles in a token, which are names in a list; anything else is no role."""
    roles = claims.get("roles")
    if not isinstance(roles, list):
        return frozenset()
    return frozenset().union(*(actions for role, actions in ROLES.values() if role in roles))
