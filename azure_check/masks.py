"""What differs on any two runs, and what nobody may see, as a word in its place."""

import re
from collections.abc import Iterable
from urllib.parse import unquote, urlsplit

from azure_check.lessons import Exchange
from helpers.auth import without_tokens

UID = re.compile(r"\b\d+(?:\.\d+){2,}\b")
UUID = re.compile(r"\b[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}\b")
TIME = re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d)?(?:\.\d+)?(?:Z\b|[+-]\d\d:?\d\d\b)?")
EXPORTS = re.compile(r"file://[^\s\"]*/exports(?=/)")  # where an emulator keeps what stands in for containers
THIS_MACHINE = ["127.0.0.1", "localhost", "[::1]", "::1"]
IN_WORDS = ["emulator on this machine", "service on this machine"]  # as the helpers call a server

# Members of JSON with another value in each run: numbers in the change feed; when a work item was changed, cancelled.
VOLATILE = {"sequence", "00404010", "00404052"}


class Masks:
    """`hosts` name a server, `passing` are UIDs that were made up for one run, `container` is an export's address."""

    def __init__(self, hosts: Iterable[str], passing: Iterable[str] = (), container: str = "") -> None:
        self.passing = frozenset(passing)
        self.container = container
        names = "|".join(re.escape(host) for host in sorted({*hosts, *THIS_MACHINE}, key=len, reverse=True))
        self.address = re.compile(rf"(?:https?://)?(?<![\w.])(?:{names})(?::\d+)?(?![\w])", re.IGNORECASE)

    def text(self, text: str) -> str:
        """
        >>> masks = Masks(["name.example.org"], ["1.2.3.4.5"])
        >>> masks.text("https://name.example.org/v2/studies/1.2.3.4.5 at 2026-01-02T03:04:05.678Z")
        '<server>/v2/studies/<uid> at <time>'
        """
        text = EXPORTS.sub("<server>", without_tokens(text))
        if self.container:  # its query may hold a signature
            text = text.replace(self.container, "<container>")
        text = self.address.sub("<server>", text)
        for words in IN_WORDS:
            text = text.replace(words, "<server>")
        text = TIME.sub("<time>", UUID.sub("<uuid>", text))
        return UID.sub(lambda uid: "<uid>" if uid[0] in self.passing else uid[0], text)

    def path(self, path: str) -> str:
        """The path and query of a request; a place in the change feed is another number in each run."""
        path = self.text(unquote(path))
        return re.sub(r"(offset=)\d+", r"\1<n>", path) if "/changefeed" in path else path

    def header(self, name: str, value: str) -> str:
        value = self.text(re.sub(r'boundary=("[^"]*"|[^;\s]*)', "boundary=<boundary>", value))
        match name.lower():
            case "etag":  # whether there are quotes, and how many numbers, is worth comparing
                return re.sub(r"\d+", "<n>", value)
            case "content-type":
                return re.sub(r"\s*;\s*", "; ", value)
        return value


def hosts_of(url: str) -> list[str]:
    """What of a server's address would name its owner: the host, and its first part, which is the service's name."""
    host = urlsplit(url).hostname or ""
    first = host.partition(".")[0]
    return [host, first] if "." in host and not re.fullmatch(r"[\d.]+", host) else [host]


def uids_asked_for(exchanges: Iterable[Exchange]) -> set[str]:
    """All UIDs that the requests name, but for those that the standard defines."""
    found: set[str] = set()
    for exchange in exchanges:
        json_body = "json" in exchange.sent.headers.get("Content-Type", "")
        text = unquote(exchange.path) + (exchange.sent.body.decode("utf-8", "replace") if json_body else "")
        found |= {uid for uid in UID.findall(text) if not uid.startswith("1.2.840.10008.")}
    return found
