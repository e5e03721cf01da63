"""Which names in the Host header are the emulator's.

A web page can give a name of its own the address of this machine, after it was loaded ("DNS rebinding"). The browser then
takes the emulator for a part of that page, and only the Host header tells. An address in it cannot be made up like that.
"""

import logging
import re
import socket
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import ip_address

from starlette.responses import PlainTextResponse, Response
from starlette.types import Scope

from dicom_emulator.wire.head import head_of

HOST = re.compile(r"(?:\[([\da-f:.]+)\]|([\w.-]+?)\.?)(?::\d*)?", re.ASCII | re.IGNORECASE)
ANY = "*"
log = logging.getLogger("dicom_emulator")


class Hosts:
    """The names of the emulator: this machine's, and `names`; "*" stands for any."""

    def __init__(self, names: Iterable[str]):
        self.names = {"localhost", socket.gethostname().lower(), *(name.lower().rstrip(".") for name in names)}

    def refusal(self, scope: Scope) -> Response | None:
        """421 (RFC 9110 §15.5.20) to a request for another host."""
        # Without the header it is no browser: HTTP/1.0 knows none.
        foreign = next((host for host in head_of(scope).hosts if not self.serves(host)), None)
        if foreign is None:
            return None
        name = name_in(foreign) or "NAME"
        refusal = f"{foreign!r} is no name of this emulator. If it shall be one, start it with --allowed-host {name}"
        log.warning("a request was refused: %s", refusal)
        return PlainTextResponse(refusal + "\n", 421)

    def serves(self, host: str) -> bool:
        name = name_in(host)
        return ANY in self.names or name in self.names or is_address(name)


@lru_cache  # clients send few different ones
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
