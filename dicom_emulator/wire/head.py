"""The headers of a request, as far as each request is asked for them."""

from functools import lru_cache

from starlette.types import Scope

AUDIT_PREFIX = b"x-ms-azuredicom-audit-"
Headers = tuple[tuple[bytes, bytes], ...]


class Head:
    """What the headers say. A client sends the same ones again and again, so they are read once."""

    __slots__ = "count", "size", "names", "hosts", "accept", "authorization", "audit"

    def __init__(self, headers: Headers):
        self.count = len(headers)
        self.size = sum(len(name) + len(value) for name, value in headers)  # bytes
        self.names = frozenset(name for name, _ in headers)
        self.hosts = [value.decode("latin-1") for name, value in headers if name == b"host"]
        self.accept, self.authorization = joined(headers, b"accept"), joined(headers, b"authorization")
        self.audit = [len(value) for name, value in headers if name.startswith(AUDIT_PREFIX)]  # bytes of each


def joined(headers: Headers, name: bytes) -> str | None:
    """A header that may be there several times, with commas between (RFC 9110 §5.3); None where it is empty."""
    return b",".join([value for each, value in headers if each == name]).decode("latin-1") or None


def head_of(scope: Scope) -> Head:
    """The head of a request; read when it is asked for the first time."""
    head: Head | None = scope.get("dicom_emulator.head")
    return head or read_into(scope)


def read_into(scope: Scope) -> Head:
    """Read the head of a request whose headers are new, or others than they were."""
    head = scope["dicom_emulator.head"] = remembered(tuple(scope["headers"]))
    return head


remembered = lru_cache(maxsize=64)(Head)  # few clients are at work at once
