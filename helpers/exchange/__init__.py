"""show_exchange: a request and its reply as they went over the wire, short enough to read.

In a notebook it is a small page that can be folded, everywhere else the same story as text. The same exchange shows
the same on every run and on every server of this machine: what changes from run to run (port, boundary, ETag, times)
and what must not be seen (tokens) is shown as `…`.

`story` says what is told of an exchange, `data_sets` what of DICOM JSON; `text` and `markup` draw it, and decide
nothing. `masks` hides, `words` spells out, `expected` is for errors that are the point.
"""

from typing import Any

import requests

from helpers.exchange.expected import NothingRaised, expect
from helpers.exchange.markup import page_of
from helpers.exchange.masks import short, stable
from helpers.exchange.story import Exchange, exchange_of
from helpers.exchange.text import text_of

__all__ = ["NothingRaised", "expect", "short", "show_exchange", "stable"]


def show_exchange(response: requests.Response, body: bool = True, attributes: int = 10) -> None:
    """Show the request, an arrow to the status, and the reply: `>` is what we sent, `<` is what came back.

    `body=False` leaves the reply's body out; `attributes` says how many of a data set are listed. A reply that is
    still to be read as a stream stays unread. Requests that were answered on the way (a 401 before the token was
    renewed, a redirect) come first. A notebook shows it as HTML, a terminal or a test as text:

    >>> show_exchange(example_refusal)
    GET /v2/studies/…187420 → 406 Not Acceptable
    > Accept: image/gif
    > Authorization: Bearer …
    < Content-Type: text/plain; charset=utf-8
    < The request headers are not acceptable
    """
    from IPython.display import display  # prints the text when there is no notebook

    display(Shown([exchange_of(one, body, attributes) for one in (*response.history, response)]))


class Shown:
    """Exchanges for every front end: HTML for those that show it, and beside it the same story as text."""

    def __init__(self, exchanges: list[Exchange]) -> None:
        self.exchanges = exchanges

    def __repr__(self) -> str:
        return text_of(self.exchanges)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/plain": repr(self), "text/html": page_of(self.exchanges)}
