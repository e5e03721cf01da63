"""Control is for the people at this machine, not for a web page that their browser happens to show."""

from urllib.parse import urlsplit

from starlette.requests import Request

from dicom_emulator.errors import ServiceError


class ForeignPage(ServiceError):
    """A page of another origin asked for control."""

    status = 403

    def __init__(self) -> None:
        super().__init__("Another origin's page may not control the emulator.")


def refuse_foreign_pages(request: Request) -> None:
    """Browsers say in `Origin` which page sends a request. Raises ForeignPage."""
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.url.netloc:
        raise ForeignPage
