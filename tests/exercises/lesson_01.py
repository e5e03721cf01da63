"""What is tried on the exercises of lesson 01."""

from typing import Any

import requests
from requests.structures import CaseInsensitiveDict

from helpers.exercises.judging import PretendedServer, reply
from tests.exercises.cases import Cases

BASE = "https://pretended.example/v2"
STRANGER, READS, DELETES = (
    "no token, DELETE a study",
    "the reader, GET the change feed",
    "the reader, DELETE a study that is not there",
)


def predicted(stranger: Any = 401, reads: Any = 200, deletes: Any = 403) -> dict[str, Any]:
    return {STRANGER: stranger, READS: reads, DELETES: deletes}


def answered(request: requests.PreparedRequest) -> requests.Response:
    if "Authorization" not in request.headers:
        return reply(401)
    return reply(200, []) if request.path_url.partition("?")[0] in ("/v2/changefeed", "/v2/studies") else reply(404)


def signed(request: requests.PreparedRequest) -> requests.PreparedRequest:
    request.headers["Authorization"] = "Bearer abc"
    return request


def session(signs_in: bool = True, accept: str = "application/json", **changes: Any) -> requests.Session:
    made = PretendedServer(answered).session()
    made.headers["Accept"] = accept
    made.auth = signed if signs_in else None
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def asked(url: str, signs_in: bool = True) -> requests.Response:
    return session(signs_in).get(url)


def with_fixed_token() -> requests.Session:
    made = session(signs_in=False)
    made.headers["Authorization"] = "Bearer abc"
    return made


def untouched_headers(token): ...


CASES = {
    "01.1": Cases(
        untouched=(predicted(..., ..., ...),),
        right=[(predicted(),)],
        mistakes=[
            ((predicted(stranger=403),), "2 of 3 right"),
            ((predicted(stranger=404),), "know who this is"),
            ((predicted(reads=403),), "looking, or changing"),
            ((predicted(deletes=404),), "check first"),
            ((predicted(deletes="403"),), "we got '403'"),
            (({STRANGER: 401},), "Keep the words on the left"),
            (([401, 200, 403],), "dict was asked for"),
        ],
    ),
    "01.2": Cases(
        untouched=(...,),
        right=[(asked(f"{BASE}/changefeed?limit=1"),), (asked(f"{BASE}/changefeed"),)],
        mistakes=[
            ((asked("https://pretended.example/changefeed/v2"),), "Where does the version belong?"),
            ((asked("https://pretended.example/changefeed"),), "We got 404"),
            ((asked(f"{BASE}/changefeed", signs_in=False),), "through `client`"),
            ((asked(f"{BASE}/studies"),), "you asked for /v2/studies"),
            ((f"{BASE}/changefeed",), "Response was asked for"),
        ],
    ),
    "01.3": Cases(
        untouched=(untouched_headers,),
        right=[
            (lambda token: {"Authorization": f"Bearer {token}"},),
            (lambda token: {"Accept": "*/*", "authorization": "bearer " + token},),
            (lambda token: CaseInsensitiveDict(Authorization=f"Bearer {token}"),),
        ],
        mistakes=[
            ((lambda token: {"Authorization": token},), "of which kind"),
            ((lambda token: {"Authorization": f"Bearer{token}"},), "we got the header value"),
            ((lambda token: {"Authorization": "Bearer abc.def.ghi"},), "'one.more.token'"),
            ((lambda token: {"Token": token},), "mask in the lesson"),
            ((lambda token: f"Bearer {token}",), "a dictionary of headers"),
            (({"Authorization": "Bearer abc"},), "A function was asked for"),
        ],
    ),
    "01.4": Cases(
        untouched=(..., BASE),
        right=[(session(), BASE), (session(accept="application/json, */*"), BASE)],
        mistakes=[
            ((session(signs_in=False), BASE), "no token in it"),
            ((session(accept="*/*"), BASE), "asked for '*/*'"),
            ((with_fixed_token(), BASE), "works for about an hour"),
            ((session(**{"verify": False}), BASE), "does not check"),
            ((session(), "https://pretended.example"), "got 404 Not Found"),
            ((requests, BASE), "Session was asked for"),
        ],
    ),
}
