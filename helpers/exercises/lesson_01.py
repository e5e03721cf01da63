"""The exercises of lesson 01: addresses, tokens, sessions, and who may do what."""

from collections.abc import Mapping
from typing import Any

import requests

from helpers.exercises import NotYet, describe, exercise, expect_type, result_of
from helpers.exercises.judging import expect_predictions, expect_reply, path_of


@exercise(
    "01.1",
    hints=[
        "Ask two questions, in this order: does the server know who asks? May this person do it?",
        "Without a token it is always 401. The reader may look, and nothing else; what is there to delete comes later.",
    ],
    why="A server asks who you are, then what you may do, and only then what is there.",
)
def who_may_do_what(predicted: Any) -> None:
    """Predict the status of three requests."""
    right = {
        "no token, DELETE a study": 401,
        "the reader, GET the change feed": 200,
        "the reader, DELETE a study that is not there": 403,
    }
    nudges = {
        "no token, DELETE a study": "Can the server know who this is?",
        "the reader, GET the change feed": "Is that looking, or changing?",
        "the reader, DELETE a study that is not there": "Which does the server check first: the person or the study?",
    }
    expect_predictions(predicted, right, nudges)


@exercise(
    "01.2",
    hints=[
        "Compare the address with base_url: what comes right after the service URL?",
        "It is base_url, a slash, and changefeed. Send it with client, which is signed in.",
    ],
    why="404 without a word often means that the address is wrong, not that something is missing.",
)
def address_repaired(answer: Any) -> None:
    """Repair the address, so that the change feed answers."""
    response = expect_reply(answer)
    if response.status_code == 401:
        raise NotYet("The server said 401: it does not know you. Did the request go through `client`?")
    if response.status_code != 200:
        raise NotYet(f"We got {response.status_code} for {path_of(response)}. Where does the version belong?")
    if not path_of(response).lower().endswith("/changefeed"):
        raise NotYet(f"The server answered, but you asked for {path_of(response)}. The change feed was asked for.")


@exercise(
    "01.3",
    hints=[
        "The reply to the stranger said it: WWW-Authenticate asks for a Bearer token.",
        "The header is named Authorization. Its value is the word Bearer, one blank, and the token.",
    ],
    why="This header is the whole sign-in: whoever sends it is you, until the token expires.",
)
def header_with_token(function: Any) -> None:
    """Write a function that returns the headers that show a token to the server."""
    for token in ("abc.def.ghi", "one.more.token"):
        headers = result_of(function, token)
        if not isinstance(headers, Mapping):
            raise NotYet(f"We got {describe(headers)}; a dictionary of headers was asked for.")
        values = {str(name).lower(): value for name, value in headers.items()}
        if "authorization" not in values:
            raise NotYet(f"The headers are {sorted(headers)}. Which one did show_exchange mask in the lesson?")
        value = values["authorization"]
        if value == token:
            raise NotYet("The token is there. The server also asks for a word that says of which kind it is.")
        kind, _, rest = str(value).partition(" ")
        if kind.lower() != "bearer" or rest != token:
            raise NotYet(f"For the token {token!r} we got the header value {value!r}.")


@exercise(
    "01.4",
    hints=[
        "Make a requests.Session(). Its auth signs in, its headers are sent with every request.",
        'session.auth = BearerAuth(credential), and session.headers["Accept"] = "application/json".',
    ],
    why="What a session does for every request, no single request can forget.",
)
def session_that_signs_in(session: Any, base_url: Any) -> None:
    """Build a session that signs in and always asks for JSON."""
    expect_type(session, requests.Session)
    expect_type(base_url, str)
    if session.verify is False:
        raise NotYet("This session does not check which server it talks to. Leave `verify` as it is.")
    response = session.get(f"{base_url}/changefeed", params={"limit": 1, "includemetadata": "false"}, timeout=30)
    accept = response.request.headers.get("Accept", "")
    if "Authorization" not in response.request.headers:
        raise NotYet("We sent a request with your session, and there was no token in it. What is its `auth`?")
    if response.status_code != 200:
        raise NotYet(f"We sent a request with your session and got {response.status_code} {response.reason}.")
    if "Authorization" in session.headers:
        raise NotYet("This works for about an hour: the token is fixed. What asks for a new one in time?")
    if not accept.startswith("application/json"):
        raise NotYet(f"It signs in. The request asked for {accept!r}, though, and JSON was wanted each time.")
