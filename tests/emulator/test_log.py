"""What goes to standard error: a line for each request, as text or as JSON, and nothing that is nobody's business."""

import contextlib
import io
import json
import logging
import re
import socket
import sqlite3
import sys
from datetime import datetime, timedelta, timezone
from unittest import mock
from urllib.parse import urlsplit

import pytest

import dicom_emulator
from dicom_emulator.log import FORMATS, Lines
from tests.emulator.conftest import Service, session, wait_for
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


def test_each_line_has_its_own_time() -> None:
    record = logging.LogRecord("x", logging.INFO, __file__, 1, "said", None, None)
    for record.created in (1.5, 1.9, 2.0, 3602.0):
        assert FORMATS["text"].format(record) == f"{datetime.fromtimestamp(record.created):%H:%M:%S} INFO said"


def test_a_program_that_logs_in_its_own_way_finds_what_it_looks_for(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    """As of any record, also what our formats do not name."""
    before = datetime.now().timestamp()
    with caplog.at_level(logging.INFO, "dicom_emulator"):
        service.owner.get(f"{service.v2}/studies", headers=JSON)
        assert wait_for(lambda: bool(caplog.records))
    (record,) = caplog.records
    made = logging.LogRecord("dicom_emulator", logging.INFO, record.pathname, 0, record.msg, None, None)
    assert vars(record).keys() >= vars(made).keys() and record.getMessage().startswith("GET /v2/studies 204 ")
    assert before <= record.created <= datetime.now().timestamp()
    assert abs(made.relativeCreated - record.relativeCreated - 1000 * (made.created - record.created)) < 1
    assert abs(record.created * 1000 % 1000 - record.msecs) < 1


def test_lines_of_requests_that_end_together_are_written_at_once_and_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stream(io.StringIO):
        writes: list[str] = []

        def write(self, text: str) -> int:
            self.writes.append(text)
            return len(text)

    monkeypatch.setattr(sys, "stderr", Stream())
    handler = Lines()
    handler.setFormatter(FORMATS["text"])
    for text, is_followed in (("alone", False), ("one", True), ("two", True), ("three", False), ("alone", False)):
        record = logging.LogRecord("x", logging.INFO, __file__, 1, text, None, None)
        record.is_followed = is_followed
        handler.handle(record)
    handler.handle(logging.LogRecord("x", logging.INFO, __file__, 1, "of another kind", None, None))
    said = [[line.split(" ", 2)[2] for line in each.splitlines()] for each in Stream.writes]
    assert said == [["alone"], ["one", "two", "three"], ["alone"], ["of another kind"]]


def test_requests_that_end_in_one_turn_have_a_line_each_and_the_last_one_is_not_followed(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    paths = [f"/v2/studies/{number}/instances" for number in range(20)]
    ended = "".join(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n" for path in paths)
    with caplog.at_level(logging.INFO, "dicom_emulator"), contextlib.ExitStack() as stack:
        address = urlsplit(service.url).hostname, urlsplit(service.url).port
        clients = [stack.enter_context(socket.create_connection(address, timeout=15)) for _ in range(5)]
        for client in clients:
            client.sendall(ended.encode())
        assert wait_for(lambda: len(caplog.records) == 5 * len(paths))
    logged = [record.request["path"] for record in caplog.records]
    assert sorted(logged) == sorted(5 * paths)
    assert not caplog.records[-1].is_followed


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


def logged(form: str, error: Exception) -> str:
    """A traceback of `error` in one of the formats."""
    try:
        raise error
    except Exception:
        record = logging.LogRecord("x", logging.ERROR, __file__, 1, "it failed", None, sys.exc_info())
    return FORMATS[form].format(record)


@pytest.mark.parametrize("form", ["text", "json"])
class TestTraceback:
    """Where a defect is found, and nothing of what was at hand: the words of an error often are a value of the file."""

    def test_it_says_where_and_which_kind_but_not_the_words(self, form: str) -> None:
        error = ValueError("'Secret^Sam' is no date")
        error.__cause__ = KeyError("Secret^Sam")
        text = logged(form, error)
        assert "it failed" in text and "test_log.py" in text and "in logged" in text
        assert "ValueError" in text and "KeyError" in text and "Secret" not in text

    @pytest.mark.parametrize(
        "error", [OSError(28, "No space left on device"), sqlite3.OperationalError("disk I/O error")]
    )
    def test_the_words_of_the_system_stay(self, form: str, error: Exception) -> None:
        assert str(error) in logged(form, error)

    def test_a_defect_of_the_emulator_is_logged_like_that(self, form: str, service: Service) -> None:
        said = io.StringIO()
        handler = logging.StreamHandler(said)
        handler.setFormatter(FORMATS[form])
        uvicorn = logging.getLogger("uvicorn.error")  # which hears of it before pytest's own handlers do
        uvicorn.addHandler(handler)
        try:
            with mock.patch("dicom_emulator.control.home.counts", side_effect=ValueError("Secret^Sam")):
                assert service.nobody.get(f"{service.url}/_emulator/summary").status_code == 500
            service.nobody.get(f"{service.url}/health/check")  # what was said before is written by now
        finally:
            uvicorn.removeHandler(handler)
        assert "ValueError" in said.getvalue() and "home.py" in said.getvalue() and "Secret" not in said.getvalue()


def test_a_line_break_in_a_path_that_fails_makes_no_line_of_its_own(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    with mock.patch("dicom_emulator.api.transaction.sign_in", side_effect=OSError(5, "Input/output error")):
        url = f"{service.v2}/studies/1%0A00:00:00%20INFO%20forged/metadata"
        assert service.owner.get(url, headers=JSON).status_code == 503
    assert [record.getMessage() for record in caplog.records if "\n" in record.getMessage()] == []
    assert "Input/output error" in caplog.text


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_line_break_in_a_path_makes_no_line_of_its_own(form: str) -> None:
    with started("--no-auth", "--log-format", form) as emulator:
        session().get(f"{emulator.url}/v2/studies%0A00:00:00%20INFO%20forged")
        assert len(log_of(emulator)) == 1


def test_a_line_comes_when_its_request_is_done(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "dicom_emulator")
    with dicom_emulator.running() as server:
        for _ in range(2):
            session().get(f"{server.url}/health/check")
            assert wait_for(lambda: len(caplog.records) == 1)
            caplog.clear()


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
