"""What can be wrong before anything is sent: one sentence each, and what to do next."""

import re

import pytest

from azure_check.service import Stop, open_service
from dicom_emulator import RunningServer
from tests.azure_check.proxy import Reply, proxy

pytestmark = pytest.mark.usefixtures("signed_in")


def test_with_address_and_sign_in_it_begins(emulator: RunningServer) -> None:
    assert open_service().url == emulator.url
    assert [each["method"] for each in emulator.control.requests() if each["path"].startswith("/v2")] == [
        "GET",
        "DELETE",
    ]


def stopped() -> str:
    with pytest.raises(Stop) as caught:
        open_service()
    assert caught.value.code == 3
    assert not re.search(r"Traceback|eyJ", str(caught.value))
    return str(caught.value)


@pytest.mark.parametrize("value", ["", " "])
def test_no_address(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("DICOM_SERVICE_URL", value)
    assert "export DICOM_SERVICE_URL=https://" in stopped()


@pytest.mark.parametrize(
    "url", ["name.dicom.azurehealthcareapis.com", "https://example.dicom.azurehealthcareapis.com/v2"]
)
def test_an_address_that_is_none(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("DICOM_SERVICE_URL", url)
    assert "should be the service URL of the portal" in stopped()


def test_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DICOM_SERVICE_URL", "http://127.0.0.1:9")
    assert "Is this machine online" in stopped()


def test_plain_http_to_another_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DICOM_SERVICE_URL", "http://dicom.example")
    assert "no token goes to dicom.example over plain http" in stopped()


def test_no_dicom_service(emulator: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    with proxy(
        emulator.url, instead=lambda request: Reply("GET", "/", 200, {"Content-Type": "text/html"}, b"<p>")
    ) as url:
        monkeypatch.setenv("DICOM_SERVICE_URL", url)
        assert "is no DICOM service: it answered a search for studies with 200 text/html" in stopped()


def test_not_signed_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IDENTITY_HEADER", "nobody")
    text = stopped()
    assert text.startswith("You are not signed in. Type: az login")


def test_a_token_that_is_not_taken(emulator: RunningServer) -> None:
    emulator.control.fault(path="/v2/*", expired_token=True, count=0)
    assert "does not take your token (401)" in stopped()


def test_a_reader_may_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IDENTITY_HEADER", "reader")
    assert "no right to store and delete (403)" in stopped()


def test_when_nobody_answers_any_more_the_rest_is_told_at_once(emulator: RunningServer) -> None:
    service = open_service()
    service.base_url = "http://127.0.0.1:9/v2"
    assert list(service.remove({"studies/1.2", "studies/1.3"})) == [
        "studies/1.2, studies/1.3, since nobody answers any more (ServiceUnreachable)"
    ]


def test_what_the_service_does_not_let_go_of_is_told(emulator: RunningServer) -> None:
    service = open_service()
    emulator.control.fault(method="DELETE", path="/v2/studies/1.2", status=503)
    assert list(service.remove({"studies/1.2", "studies/1.3"})) == ["studies/1.2 (the service answered 503)"]
