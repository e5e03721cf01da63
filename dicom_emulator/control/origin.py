"""Control is for the people at this machine, not for a web page that their browser happens to show."""

from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection, Request
from starlette.types import Scope

from dicom_emulator.errors import ServiceError
from dicom_emulator.wire.head import head_of

HOME_PAGE_MARK = b"x-emulator-page"


class ForeignPage(ServiceError):
    """A page of another origin asked for control."""

    status = 403

    def __init__(self) -> None:
        super().__init__("Another origin's page may not control the emulator.")


def refuse_foreign_pages(request: Request, invited: Collection[str] = ()) -> None:
    """Browsers say in `Origin` which page sends a request, and in `Sec-Fetch-Site` how it is related to the emulator.

    `invited`: origins whose pages may come all the same; "*" for any. Raises ForeignPage.
    """
    origin = request.headers.get("origin")
    if origin is None:
        foreign = request.headers.get("sec-fetch-site") in {"cross-site", "same-site"}
    else:
        foreign = not is_own(request, origin)
    if foreign and origin not in invited and "*" not in invited:
        raise ForeignPage


def is_own(request: HTTPConnection, address: str) -> bool:
    """Whether the browser that sent `request` from the page at `address` sees both at one origin."""
    # A proxy between them may change the Host; then only the browser knows. No page can set this header.
    if request.headers.get("sec-fetch-site") == "same-origin":
        return True
    try:
        return urlsplit(address).netloc == request.headers.get("host")
    except ValueError:
        return False


def is_control(scope: Scope) -> bool:
    """Whether a request is to the emulator, or from its page, and not to the service it stands for."""
    return is_to_control(scope["path"]) or is_from_home_page(scope)


def is_to_control(path: str) -> bool:
    """Whether a path is the emulator's own, and none of the service it stands for."""
    return path == "/" or path.startswith("/_emulator")


def is_from_home_page(scope: Scope) -> bool:
    """Whether the emulator's own page sent this for itself, so that it is nobody's traffic.

    Where it asks the service, it says so in a header. Either way that counts only from its own origin, which the
    browser names and no page can make up.
    """
    if HOME_PAGE_MARK not in head_of(scope).names and not scope["path"].startswith("/_emulator/"):
        return False
    request = HTTPConnection(scope)
    sender = request.headers.get("origin") or request.headers.get("referer", "")
    return is_own(request, sender)
