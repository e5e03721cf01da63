"""doctor(): what this machine has and lacks for the lessons, each line with the command that mends it.

The text holds no token, no path and no name of a server of yours: it can go into a bug report as it is.
"""

import os
import platform
import re
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from importlib import metadata
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import requests
from azure.identity import DefaultAzureCredential

from helpers.auth import SCOPE, is_this_machine
from helpers.errors import HelperError
from helpers.service import REPOSITORY, choose_service

OLDEST_PYTHON = (3, 11)
SKEW = 300  # seconds by which clocks may differ: tokens are refused by servers whose clock is further away
TIMEOUT = 10  # seconds


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's: what was looked at, whether it is well, the fact, and the command that mends it."""

    name: str
    well: bool
    fact: str
    mend: str = ""


def doctor(details: bool = False) -> None:
    """Print what is well and what is not. `details` adds versions and numbers, for a bug report.

    It prints lines such as

        ✓ packages
        ✗ clock: 17 minutes away from the server's. Mend it: sudo timedatectl set-ntp true
    """
    findings = list(examine())
    for finding in findings:
        if not finding.well:
            print(f"✗ {finding.name}: {finding.fact} Mend it: {finding.mend}")
        else:
            print(f"✓ {finding.name}" + (f": {finding.fact}" if details else ""))
    ill = sum(not finding.well for finding in findings)
    print("All is well." if not ill else f"{ill} of {len(findings)} need mending; begin with the first.")


def examine() -> Iterator[Finding]:
    """Each check in turn. One that fails in a way of its own is a finding, too."""
    yield attempt("Python", python)
    yield attempt("packages", packages)
    yield attempt("folder", folder)
    yield attempt("port", port)
    yield attempt("proxy", proxy)
    service = Service()
    yield attempt("service", service.answers)
    yield attempt("sign-in", service.signs_in)
    yield attempt("clock", service.clock)


def attempt(name: str, check: Callable[[], Finding]) -> Finding:
    try:
        return check()
    except HelperError as error:
        return Finding(name, False, masked(str(error)), "see the sentence before.")
    except Exception as error:  # the doctor never falls ill himself
        fact = masked(f"{type(error).__name__}: {error}.")
        return Finding(name, False, fact, "python3 run.py doctor, and report it.")


def masked(text: str) -> str:
    """`text` without addresses, tokens and folders."""
    text = re.sub(r"eyJ[\w-]+(\.[\w-]+)*", "…", text)
    addresses = r"https?://[^\s'\")]+|(?<![\w/])(?:/|[A-Z]:\\)[\w.~\\/-]+"
    return re.sub(addresses, lambda found: shown(found[0]) if found[0].startswith("http") else "…", text)


def shown(url: str) -> str:
    """The address of a server, of which only the part that everybody has in common may be seen.

    >>> shown("https://name.dicom.azurehealthcareapis.com/v2"), shown("http://127.0.0.1:8080")
    ('https://….dicom.azurehealthcareapis.com', 'this machine')
    """
    if is_this_machine(url):
        return "this machine"
    parts = urlsplit(url)
    common = ".".join((parts.hostname or "").split(".")[1:])
    return f"{parts.scheme}://…{'.' + common if common else ''}"


def python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    fact = f"{version} on {platform.system()} {platform.machine()}"
    oldest = ".".join(map(str, OLDEST_PYTHON))
    return Finding("Python", sys.version_info >= OLDEST_PYTHON, fact, f"install Python {oldest} or later.")


def packages() -> Finding:
    """Whether what requirements.txt locks is installed, in the versions that it names."""
    lock = (REPOSITORY / "requirements.txt").read_text("utf-8")
    wanted = re.findall(r"^([A-Za-z0-9_.-]+)==([^\s;\\]+)(?: ; (.*?))? *\\?$", lock, re.MULTILINE)
    wrong = [name for name, version, condition in wanted if applies(condition) and installed(name) != version]
    if not wrong:
        return Finding("packages", True, f"{len(wanted)} as locked")
    some = ", ".join(wrong[:3]) + (" …" if len(wrong) > 3 else "")
    return Finding("packages", False, f"{len(wrong)} are missing or of another version ({some}).", "python3 run.py lab")


def applies(condition: str) -> bool:
    """Whether a marker of the lock file is true here."""
    if not condition:
        return True
    from packaging.markers import Marker

    return Marker(condition).evaluate()


def installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def folder() -> Finding:
    """Whether notebooks can be saved where they are, and temporary files be made."""
    try:
        for place in (os.getcwd(), tempfile.gettempdir()):
            with tempfile.TemporaryFile(dir=place):
                pass
    except OSError as error:
        mend = "python3 run.py start ../my-lessons, which copies the lessons to a folder of your own."
        return Finding("folder", False, f"it cannot be written to ({error.strerror}).", mend)
    return Finding("folder", True, "can be written to")


def port() -> Finding:
    """Whether a program may listen on this machine's own address, as the emulator does."""
    try:
        with socket.create_server(("127.0.0.1", 0)):
            pass
    except OSError as error:
        mend = "let programs listen on 127.0.0.1 in the settings of your firewall."
        return Finding("port", False, f"no program may listen on 127.0.0.1 ({error.strerror}).", mend)
    return Finding("port", True, "programs may listen on 127.0.0.1")


def proxy() -> Finding:
    """Whether requests to this machine would be sent to a proxy."""
    if "http" not in getproxies():
        return Finding("proxy", True, "none in the way")
    mend = "export NO_PROXY=127.0.0.1,localhost, then restart."
    if not proxy_bypass("127.0.0.1"):
        return Finding("proxy", False, "requests to this machine go to a proxy.", mend)
    return Finding("proxy", True, "there, and passed by for this machine")


class Service:
    """The service that the lessons would use."""

    def __init__(self) -> None:
        self.url = ""
        self.date: datetime | None = None

    def answers(self) -> Finding:
        self.url = choose_service()
        try:
            response = requests.get(f"{self.url}/health/check", timeout=TIMEOUT)
        except requests.RequestException as error:
            mend = "correct DICOM_SERVICE_URL, or remove it to use the emulator."
            return Finding("service", False, f"{shown(self.url)} does not answer ({type(error).__name__}).", mend)
        if "Date" in response.headers:
            self.date = parsedate_to_datetime(response.headers["Date"])
        fact = f"{shown(self.url)} answers {response.status_code}"
        return Finding("service", response.status_code == 200, fact, "try again in a minute; see the service's page.")

    def signs_in(self) -> Finding:
        try:
            DefaultAzureCredential().get_token(SCOPE)
        except Exception as error:  # azure-identity's own, and those of what it calls
            mend = "az login" if self.url and not is_this_machine(self.url) else "restart the kernel."
            return Finding("sign-in", False, f"no token was given ({type(error).__name__}).", mend)
        return Finding("sign-in", True, "a token was given")

    def clock(self) -> Finding:
        if self.date is None:
            return Finding("clock", True, "not compared: no service answered")
        seconds = abs((datetime.now(timezone.utc) - self.date).total_seconds())
        if seconds <= SKEW:
            return Finding("clock", True, f"within {SKEW // 60} minutes of the server's")
        mend = "sudo timedatectl set-ntp true (Windows: w32tm /resync)"
        return Finding("clock", False, f"{seconds / 60:.0f} minutes away from the server's.", mend)


if __name__ == "__main__":
    doctor(details=True)
