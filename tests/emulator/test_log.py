"""What goes to standard error: a line for each request, as text or as JSON, and nothing that is nobody's business."""

import json
import re
import socket
from datetime import datetime, timedelta, timezone

import pytest

from tests.emulator.conftest import session
from tests.emulator.dicom_files import instance, multipart
from tests.emulator.test_command_line import JSON, Started, refused, started


def log_of(emulator: Started) -> list[str]:
    """The lines that were logged until the stop, which this is."""
    emulator.process.terminate()
    return emulator.process.communicate(timeout=15)[1].splitlines()


def log_of_a_store_and_a_search(*arguments: str) -> tuple[list[str], int]:
    """The log, and how many bytes were stored."""
    with started("--no-auth", *arguments) as emulator:
        body, content_type = multipart(instance(PatientName="Secret^Sam", PatientID="hidden"))
        headers = JSON | {"Content-Type": content_type, "Authorization": "Bearer classified"}
        session().post(f"{emulator.url}/v2/studies", data=body, headers=headers)
        session().get(f"{emulator.url}/v2/studies?PatientName=Secret^Sam&PatientID=hidden", headers=headers)
        return log_of(emulator), len(body)


def test_text_has_time_method_path_status_and_milliseconds() -> None:
    (store, search), _ = log_of_a_store_and_a_search()
    assert re.fullmatch(r"\d\d:\d\d:\d\d INFO POST /v2/studies 200 \d+ ms", store)
    assert re.fullmatch(r"\d\d:\d\d:\d\d INFO GET /v2/studies 200 \d+ ms", search)


def test_json_has_an_object_a_line_with_the_same_and_sizes() -> None:
    lines, size = log_of_a_store_and_a_search("--log-format", "json")
    store, search = map(json.loads, lines)
    assert store.keys() == search.keys() == {
        "time", "level", "message", "method", "path", "status", "milliseconds", "requestBytes", "responseBytes"
    }  # fmt: skip
    assert (store["level"], store["method"], store["path"], store["status"]) == ("INFO", "POST", "/v2/studies", 200)
    assert store["requestBytes"] == size and store["responseBytes"] > 100 and store["milliseconds"] > 0
    assert store["message"].startswith("POST /v2/studies 200 ")
    assert timedelta(0) <= datetime.now(timezone.utc) - datetime.fromisoformat(store["time"]) < timedelta(minutes=5)


@pytest.mark.parametrize("form", ["text", "json"])
def test_neither_has_a_query_a_token_or_a_patient(form: str) -> None:
    text = "\n".join(log_of_a_store_and_a_search("--log-format", form)[0])
    assert not [secret for secret in ("Secret", "hidden", "classified", "?", "PatientName") if secret in text]


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_line_break_in_a_path_makes_no_line_of_its_own(form: str) -> None:
    with started("--no-auth", "--log-format", form) as emulator:
        session().get(f"{emulator.url}/v2/studies%0A00:00:00%20INFO%20forged")
        assert len(log_of(emulator)) == 1


def test_the_emulators_own_pages_are_logged_too() -> None:
    with started() as emulator:
        session().post(f"{emulator.url}/_emulator/reset")
        assert " POST /_emulator/reset 204 " in log_of(emulator)[0]


def test_what_is_no_request_is_json_too() -> None:
    with started(DICOM_EMULATOR_LOG_FORMAT="json") as emulator:
        with socket.create_connection(("127.0.0.1", emulator.port), timeout=10) as connection:
            connection.sendall(b"this is no HTTP\r\n\r\n")
            assert connection.recv(4096).startswith(b"HTTP/1.1 400")
        (line,) = map(json.loads, log_of(emulator))
        assert line.keys() == {"time", "level", "message"} and line["level"] == "WARNING"


def test_another_format_is_refused() -> None:
    assert "--log-format" in refused("--log-format", "xml")
