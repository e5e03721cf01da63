"""Sign `requests` calls in with a credential of azure-identity."""

import logging
import os
import re
import threading
import time
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import requests
from azure.core.credentials import AccessToken, TokenCredential
from azure.core.exceptions import AzureError
from requests.auth import AuthBase
from requests.exceptions import UnrewindableBodyError
from requests.utils import rewind_body

from helpers.errors import HelperError

SCOPE = "https://dicom.healthcareapis.azure.com/.default"
EMULATOR_TOKEN_PATH = "/_emulator/identity/token"
REFRESH_BEFORE_EXPIRY = 300  # seconds

# NotSignedIn tells a failed sign-in in a few lines; azure's own log would print the same as a warning above it.
logging.getLogger("azure").setLevel(logging.ERROR)


class NotSignedIn(HelperError):
    """The credential has no token to give, or the service refused the one it was shown."""


class InsecureAddress(HelperError):
    """A token was about to travel unencrypted to another machine."""


class BearerAuth(AuthBase):
    """Put `Authorization: Bearer …` on each request, with a token that is never older than it may be.

    `credential` is any credential of azure-identity. A token is kept until five minutes before it expires. When the
    service answers 401 all the same, the credential is asked again and the request is sent once more, provided that
    there is another token and that the body can be sent twice (bytes can, a generator cannot).

    Raises NotSignedIn when the credential has no token, InsecureAddress for plain http to another machine.

    >>> client = requests.Session()
    >>> client.auth = BearerAuth(example_credential)
    >>> client.auth
    BearerAuth(ExampleCredential)
    """

    def __init__(self, credential: TokenCredential, scope: str = SCOPE) -> None:
        self.credential = credential
        self.scope = scope
        self._token: AccessToken | None = None
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"BearerAuth({type(self.credential).__name__})"

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        refuse_open_network(request.url or "")
        request.headers["Authorization"] = f"Bearer {self.token()}"
        request.register_hook("response", self._once_more_after_401)
        return request

    def token(self, older_is_refused: str | None = None) -> str:
        """The token to send now. `older_is_refused`: a token that the service did not take."""
        with self._lock:
            if self._token is None or self._token.token == older_is_refused or expires_soon(self._token):
                self._token = sign_in(self.credential, self.scope)
            return self._token.token

    def _once_more_after_401(self, response: requests.Response, **sending: Any) -> requests.Response:
        request = response.request
        # When it follows a redirect to another host, requests takes the header off, or signs in with what .netrc has for
        # that host: then the 401 is not ours to mend.
        scheme, _, refused = str(request.headers.get("Authorization", "")).partition(" ")
        if response.status_code != 401 or scheme != "Bearer":
            return response
        token = self.token(older_is_refused=refused)
        if token == refused or not can_be_sent_again(request):
            return response
        response.content  # read to its end, so that the connection can be used again
        again = request.copy()
        again.headers["Authorization"] = f"Bearer {token}"
        reply = response.connection.send(again, **sending)
        reply.history.append(response)
        reply.request = again
        return reply


def sign_in(credential: TokenCredential, scope: str = SCOPE) -> AccessToken:
    """Ask `credential` for a token; NotSignedIn says which credentials were tried and what to do."""
    try:
        return credential.get_token(scope)
    except (AzureError, ValueError) as problem:
        raise NotSignedIn(
            f"{type(credential).__name__} has no token for {scope}. {sign_in_advice()}\n{what_was_tried(problem)}"
        ) from problem


def sign_in_advice() -> str:
    """What to do about a missing token, in a sentence or two."""
    if os.environ.get("IDENTITY_ENDPOINT", "").endswith(EMULATOR_TOKEN_PATH):
        return (
            "IDENTITY_ENDPOINT names an emulator: is it running, and is IDENTITY_HEADER one of its roles, "
            "`owner` or `reader`? `python -m dicom_emulator --print-env --port PORT` prints what belongs there."
        )
    return (
        "In a terminal, run `az login`, then this cell again. For an emulator of your own, set what "
        "`python -m dicom_emulator --print-env --port PORT` prints and restart the kernel."
    )


def what_was_tried(problem: Exception) -> str:
    r"""One line per credential that was asked, with the first sentence of its answer.

    >>> print(what_was_tried(ValueError("Attempted credentials:\n\tAzureCliCredential: Azure CLI not found on path")))
    Tried:
      AzureCliCredential: Azure CLI not found on path
    """
    answers = re.findall(r"^\t(\w+): (?:\1 authentication unavailable\. )?(.+)$", str(problem), re.MULTILINE)
    if not answers:
        return f"It said: {without_tokens(str(problem)).strip()}"
    return "\n".join(["Tried:", *(f"  {name}: {without_tokens(text.split('. ')[0])}" for name, text in answers)])


def without_tokens(text: str) -> str:
    """`text` with everything that looks like a JSON Web Token taken out.

    >>> without_tokens("Bearer eyJhbGciOi.eyJhdWQiOi.c2lnbmVk was refused")
    'Bearer … was refused'
    """
    return re.sub(r"eyJ[\w-]+\.[\w-]+\.[\w-]*", "…", text)


def expires_soon(token: AccessToken) -> bool:
    return token.expires_on - time.time() < REFRESH_BEFORE_EXPIRY


def is_this_machine(url: str) -> bool:
    """Whether `url` leads to the machine that we run on.

    >>> is_this_machine("http://127.0.0.1:8080/v2"), is_this_machine("http://[::1]"), is_this_machine("http://localhost")
    (True, True, True)
    >>> is_this_machine("http://localhost.example.org"), is_this_machine("http://192.168.0.7")
    (False, False)
    """
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def refuse_open_network(url: str) -> None:
    if not url.startswith("https://") and not is_this_machine(url):
        raise InsecureAddress(
            f"no token goes to {urlsplit(url).hostname} over plain http: everybody on the way could read and use it. "
            "Use the service's https address."
        )


def can_be_sent_again(request: requests.PreparedRequest) -> bool:
    """Whether the body of `request` can be sent a second time; a stream is put back to its start."""
    if request.body is None or isinstance(request.body, (bytes, str)):
        return True
    try:
        rewind_body(request)
    except UnrewindableBodyError:
        return False
    return True
