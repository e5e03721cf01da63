"""One emulator for all tests of this folder, emptied before each test."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
import requests

import dicom_emulator
from tests.emulator.dicom_files import multipart

SOON = 20  # seconds in which what shall happen has happened, also on a machine that is busy
LONG = 600  # seconds that an operation takes which shall not end during the test


@dataclass
class Service:
    """The emulator as a client sees it: two base addresses and two people who signed in."""

    url: str
    owner: requests.Session
    reader: requests.Session
    nobody: requests.Session

    @property
    def v1(self) -> str:
        return f"{self.url}/v1"

    @property
    def v2(self) -> str:
        return f"{self.url}/v2"

    def store(self, *files: bytes, version: str = "v2", study: str = "", partition: str = "") -> requests.Response:
        """POST `files` as one multipart/related request, as the owner."""
        body, content_type = multipart(*files)
        return self.owner.post(
            f"{self.url}/{version}{partition}/studies" + (f"/{study}" if study else ""),
            data=body,
            headers={"Content-Type": content_type, "Accept": "application/dicom+json"},
        )


def wait_for(condition: Callable[[], bool]) -> bool:
    """Whether it comes true soon."""
    until = time.monotonic() + SOON
    while not condition() and time.monotonic() < until:
        time.sleep(0.02)
    return condition()


def session(token: str | None = None) -> requests.Session:
    """A session that sends nothing by itself but a token: no Accept, no Accept-Encoding, no User-Agent."""
    client = requests.Session()
    client.trust_env = False
    client.headers.clear()
    # http.client adds "Accept-Encoding: identity" unless told not to; requests passes None as "leave out".
    if token:
        client.headers["Authorization"] = f"Bearer {token}"
    return client


@pytest.fixture(scope="session")
def emulator() -> Iterator[dicom_emulator.RunningServer]:
    with dicom_emulator.running() as server:
        yield server


@pytest.fixture
def service(emulator: dicom_emulator.RunningServer) -> Service:
    """An empty emulator. `owner` may do everything, `reader` may read, `nobody` sends no token."""
    return emptied(emulator)


@pytest.fixture(scope="session")
def emulator_of_long_operations() -> Iterator[dicom_emulator.RunningServer]:
    with dicom_emulator.running(operation_time=LONG) as server:
        yield server


@pytest.fixture
def slow(emulator_of_long_operations: dicom_emulator.RunningServer) -> Service:
    """An empty emulator in which no operation ends."""
    return emptied(emulator_of_long_operations)


def emptied(emulator: dicom_emulator.RunningServer) -> Service:
    emulator.reset()
    scope = "https://dicom.healthcareapis.azure.com/.default"
    return Service(
        url=emulator.url,
        owner=session(emulator.credential.get_token(scope).token),
        reader=session(emulator.credential_for("reader").get_token(scope).token),
        nobody=session(),
    )
