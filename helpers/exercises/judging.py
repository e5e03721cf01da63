"""What judges of several lessons share: predictions, replies, and a server that is only pretended."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests
from requests.adapters import BaseAdapter

from helpers.exercises import NotYet, describe, expect_type

TOO_MANY = 1000  # requests to a pretended server; a loop that does not end gets there

NUMBERS = ("no", "one", "two", "three", "four")


def expect_predictions(given: Any, right: Mapping[str, Any], nudges: Mapping[str, str]) -> None:
    """Raises NotYet at the first of the predictions that is wrong, with the nudge of that name.

    >>> expect_predictions({"a": 1, "b": 2}, {"a": 1, "b": 3}, {"b": "Count again."})
    Traceback (most recent call last):
    helpers.exercises.NotYet: 1 of 2 right. For "b" we got 2. Count again.
    """
    expect_type(given, dict)
    if given.keys() != right.keys():
        raise NotYet("Keep the words on the left as they are; only the dots on the right are to be replaced.")
    wrong = [name for name in right if given[name] != right[name] or type(given[name]) is not type(right[name])]
    if wrong:
        first = wrong[0]
        got = f'For "{first}" we got {describe(given[first])}.'
        raise NotYet(f"{len(right) - len(wrong)} of {len(right)} right. {got} {nudges[first]}")


def expect_words(given: Any, names: Collection[str], words: Sequence[str]) -> dict[str, str]:
    """The word that was given for each name, in lower case; "gray" is "grey". Raises NotYet where one is another.

    >>> expect_words({"a": "Black "}, ["a"], ["black", "grey", "white"])
    {'a': 'black'}
    """
    expect_type(given, dict)
    if given.keys() != set(names):
        raise NotYet(f"We got the keys {sorted(map(str, given))}; keep the {NUMBERS[len(names)]} of the cell.")
    found = {name: str(word).strip().lower().replace("gray", "grey") for name, word in given.items()}
    if unknown := sorted(set(found.values()) - set(words)):
        listed = f"{', '.join(words[:-1])} and {words[-1]}"
        raise NotYet(f"We got {', '.join(unknown)}. The {NUMBERS[len(words)]} words are {listed}.")
    return found


def expect_reply(answer: Any) -> requests.Response:
    """The answer, when it is what a request returned."""
    expect_type(answer, requests.Response)
    return answer


def query_of(response: requests.Response) -> dict[str, str]:
    """The query that was really sent; of a parameter that was sent twice, the last value."""
    return dict(parse_qsl(urlsplit(response.request.url or "").query))


def path_of(response: requests.Response) -> str:
    """The path that was really asked for."""
    return urlsplit(response.request.url or "").path


def reply(status: int, data: Any = None, content: bytes = b"", **headers: str) -> requests.Response:
    """A reply as a server would send it; `data` is written as JSON.

    >>> reply(200, [{}]).json(), reply(204).content
    ([{}], b'')
    """
    made = requests.Response()
    made.status_code, made.reason = status, HTTPStatus(status).phrase
    made._content = content if data is None else json.dumps(data).encode()
    made.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
    return made


class PretendedServer(BaseAdapter):
    """Takes the place of the network in a requests.Session, so that a function can be tried on any reply.

    >>> server = PretendedServer(lambda request: reply(404))
    >>> server.session().delete("https://pretended.example/v2/studies/1").status_code
    404
    >>> server.seen
    ['DELETE https://pretended.example/v2/studies/1']
    """

    def __init__(self, answer: Callable[[requests.PreparedRequest], requests.Response]) -> None:
        super().__init__()
        self.answer = answer
        self.seen: list[str] = []

    def session(self) -> requests.Session:
        """A session that reaches nothing but this server."""
        session = requests.Session()
        session.trust_env = False
        session.mount("https://", self)
        session.mount("http://", self)
        return session

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        if len(self.seen) >= TOO_MANY:
            raise RuntimeError(f"{TOO_MANY} requests were sent, and it did not end")
        self.seen.append(f"{request.method} {request.url}")
        response = self.answer(request)
        response.request, response.url = request, request.url or ""
        return response

    def close(self) -> None:
        pass
