"""Control from Python: what curl does below /_emulator/, as methods. The standard library is all that it needs."""

import ipaddress
import json
import os
import ssl
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlsplit
from urllib.request import BaseHandler, HTTPSHandler, OpenerDirector, ProxyHandler, Request, build_opener

TIMEOUT = 120  # seconds
SYNTHETIC = {"set": "synthetic"}


class ControlError(RuntimeError):
    """The emulator refused, in its own words, or was not there. `status` is None where nothing answered."""

    def __init__(self, message: str, status: int | None = None):
        super().__init__(message)
        self.status = status


class Control:
    """The controls of the emulator at `url`, which may be in another process. All methods raise ControlError.

    ca_file: with TLS, the certificate authority to trust; else those of this machine.

    >>> control = Control("http://127.0.0.1:8080")
    >>> control.url
    'http://127.0.0.1:8080'
    """

    def __init__(self, url: str, ca_file: str | os.PathLike[str] | None = None):
        if urlsplit(url).scheme not in {"http", "https"}:
            raise ValueError(f"{url!r} is no URL of an emulator, such as http://127.0.0.1:8080")
        self.url = url.rstrip("/")
        self._opener = opener_for(self.url, ca_file)

    def __repr__(self) -> str:
        return f"Control({self.url!r})"

    def reset(self) -> None:
        """An empty archive, no faults, an empty request log. Snapshots stay."""
        self._send("POST", "reset")

    def seed(self, folder: str | os.PathLike[str] | None = None) -> dict[str, Any]:
        """Store the .dcm files of a folder on the emulator's machine, or else the built-in synthetic set.

        Returns {"stored": how many are there now, "refused": [{"file": …, "failureReason": …}]}.
        """
        return self._send("POST", "seed", {"folder": os.path.abspath(folder)} if folder is not None else SYNTHETIC)

    def save(self, name: str) -> dict[str, Any]:
        """Keep all that is there as `name`. Returns {"name": …, "created": …, "instances": …}."""
        return self._send("POST", "snapshots", {"name": name})

    def restore(self, name: str) -> None:
        """Have all that was there when `name` was saved, and nothing else."""
        self._send("POST", f"snapshots/{quote(name, safe='')}/restore")

    def forget(self, name: str) -> None:
        """Remove a snapshot."""
        self._send("DELETE", f"snapshots/{quote(name, safe='')}")

    def snapshots(self) -> list[dict[str, Any]]:
        """The snapshots, oldest first, as `save` returns them."""
        return self._send("GET", "snapshots")

    def requests(self) -> list[dict[str, Any]]:
        """The last exchanges, oldest first: method, path, headers, sizes, parts, status, time."""
        return self._send("GET", "requests")

    def clear_requests(self) -> None:
        self._send("DELETE", "requests")

    def fault(self, **rule: Any) -> None:
        """Let requests go wrong: `control.fault(path="/v2/studies*", status=503)`. The README lists the members."""
        self._send("POST", "faults", rule)

    def faults(self) -> list[dict[str, Any]]:
        """The rules, with how many requests each has seen."""
        return self._send("GET", "faults")

    def clear_faults(self) -> None:
        self._send("DELETE", "faults")

    @property
    def operation_time(self) -> float:
        """How many seconds each operation takes at the least. May be set, up to 3600."""
        return self._send("GET", "operations")["leastSeconds"]

    @operation_time.setter
    def operation_time(self, seconds: float) -> None:
        self._send("PUT", "operations", {"leastSeconds": seconds})

    def _send(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON that is answered, None for an empty answer."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = Request(f"{self.url}/_emulator/{path}", data, headers, method=method)
        try:
            with self._opener.open(request, timeout=TIMEOUT) as response:
                content = response.read()
            return json.loads(content) if content else None
        except HTTPError as error:
            with error:
                text = error.read().decode("utf-8", "replace")
            raise ControlError(text or f"{method} {request.full_url}: {error.code}", error.code) from None
        except (OSError, HTTPException, ValueError) as error:
            reason = error.reason if isinstance(error, URLError) else error
            raise ControlError(f"no emulator answers at {self.url}: {reason}") from None


def opener_for(url: str, ca_file: str | os.PathLike[str] | None) -> OpenerDirector:
    """What opens URLs; on this machine without the proxies that the environment names."""
    try:
        here = urlsplit(url).hostname == "localhost" or ipaddress.ip_address(urlsplit(url).hostname or "").is_loopback
    except ValueError:
        here = False
    handlers: list[BaseHandler] = [ProxyHandler({})] if here else []
    if ca_file:
        handlers.append(HTTPSHandler(context=ssl.create_default_context(cafile=ca_file)))
    return build_opener(*handlers)
