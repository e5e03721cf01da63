"""Which names in the Host header are the emulator's.

A web page can give a name of its own the address of this machine, after it was loaded ("DNS rebinding"). The browser then
takes the emulator for a part of that page, and only the Host header tells. An address in it cannot be made up like that.
"""

import logging
import re
import socket
from collections.abc import Iterable
from ipaddress import ip_address

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

HOST = re.compile(r"(?:\[([\da-f:.]+)\]|([\w.-]+?)\.?)(?::\d*)?", re.ASCII | re.IGNORECASE)
ANY = "*"
log = logging.getLogger("dicom_emulator")


class CheckHost:
    """Answers 421 (RFC 9110 §15.5.20) to requests for a host that is neither this machine nor among `names`."""

    def __init__(self, app: ASGIApp, names: Iterable[str]):
        self.app = app
        self.names = {"localhost", socket.gethostname().lower(), *(name.lower().rstrip(".") for name in names)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Without the header it is no browser: HTTP/1.0 knows none.
        hosts = Headers(scope=scope).getlist("host") if scope["type"] == "http" else []
        foreign = next((host for host in hosts if not self.serves(host)), None)
        if foreign is None:
            await self.app(scope, receive, send)
            return
        name = name_in(foreign) or "NAME"
        refusal = f"{foreign!r} is no name of this emulator. If it shall be one, start it with --allowed-host {name}"
        log.warning("a request was refused: %s", refusal)
        await PlainTextResponse(refusal + "\n", 421)(scope, receive, send)

    def serves(self, host: str) -> bool:
        name = name_in(host)
        return ANY in self.names or name in self.names or is_address(name)


def name_in(host: str) -> str:
    """The name or address in a Host header, without its port; an empty text where there is none.

    >>> name_in("LocalHost.:8080"), name_in("[::1]:8080"), name_in("127.0.0.1"), name_in("somebody@127.0.0.1")
    ('localhost', '::1', '127.0.0.1', '')
    """
    found = HOST.fullmatch(host)
    return (found[1] or found[2]).lower() if found else ""


def is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
