"""The doctor: each thing that can be wrong is found, said with what mends it, and nothing private is shown."""

import re
import time
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path

import pytest

import dicom_emulator
from helpers import doctor as module
from helpers.doctor import doctor, examine, masked, shown
from tests.helpers.conftest import Reply, ScriptedServer

NAMES = ["Python", "packages", "folder", "port", "proxy", "service", "sign-in", "clock"]


@pytest.fixture
def emulator(environment: pytest.MonkeyPatch) -> Iterator[dicom_emulator.RunningServer]:
    with dicom_emulator.running() as server:
        for name, value in server.environment.items():
            environment.setenv(name, value)
        yield server


def ill() -> dict[str, str]:
    return {finding.name: f"{finding.fact} {finding.mend}" for finding in examine() if not finding.well}


def test_a_good_machine_is_well_and_says_the_same_each_time(
    emulator: dicom_emulator.RunningServer, capsys: pytest.CaptureFixture[str]
) -> None:
    doctor()
    assert capsys.readouterr().out == "".join(f"✓ {name}\n" for name in NAMES) + "All is well.\n"


def test_details_are_fit_for_a_bug_report(
    emulator: dicom_emulator.RunningServer, capsys: pytest.CaptureFixture[str]
) -> None:
    doctor(details=True)
    text = capsys.readouterr().out
    assert re.search(r"✓ Python: 3\.\d+\.\d+ on \w+", text) and re.search(r"✓ packages: \d+ as locked", text)
    assert emulator.url not in text and str(Path.home()) not in text and "eyJ" not in text


def test_a_service_that_does_not_answer(environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    environment.setenv("DICOM_SERVICE_URL", "http://127.0.0.1:9")
    assert "does not answer" in ill()["service"] and "DICOM_SERVICE_URL" in ill()["service"]
    doctor()
    assert "need mending; begin with the first." in capsys.readouterr().out


def test_an_address_that_is_none(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("DICOM_SERVICE_URL", "clinic.example/v2")
    assert "DICOM_SERVICE_URL" in ill()["service"]


def test_nobody_to_sign_in_as(server: ScriptedServer, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("DICOM_SERVICE_URL", server.url)
    environment.setenv("IDENTITY_ENDPOINT", f"{server.url}/token")
    environment.setenv("IDENTITY_HEADER", "nobody")
    environment.setenv("AZURE_TOKEN_CREDENTIALS", "ManagedIdentityCredential")
    refusal = Reply(400, body=b'{"statusCode": 400, "message": "no such person"}')
    server.replies = [Reply(200), refusal]
    assert "no token was given" in ill()["sign-in"]


@pytest.mark.parametrize(("ahead", "well"), [(0, True), (299, True), (1020, False), (-1020, False)])
def test_a_clock_that_is_wrong(server: ScriptedServer, environment: pytest.MonkeyPatch, ahead: int, well: bool) -> None:
    environment.setenv("DICOM_SERVICE_URL", server.url)
    environment.setattr(
        server.RequestHandlerClass, "date_time_string", lambda self: formatdate(time.time() + ahead, usegmt=True)
    )
    assert ("clock" not in ill()) == well
    if not well:
        assert "17 minutes away" in ill()["clock"] and "set-ntp" in ill()["clock"]


def test_a_proxy_in_the_way(emulator: dicom_emulator.RunningServer, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("http_proxy", "http://proxy.example:3128")
    for name in ("NO_PROXY", "no_proxy"):
        environment.delenv(name)
    assert "NO_PROXY=127.0.0.1,localhost" in ill()["proxy"]
    environment.setenv("no_proxy", "127.0.0.1")
    assert "proxy" not in ill()


def test_packages_of_another_version(tmp_path: Path, emulator: object, environment: pytest.MonkeyPatch) -> None:
    lock = (
        'requests==0.0.1 \\\n    --hash=sha256:00\nnobody-wrote-this==1.0\ncolorama==1.0 ; sys_platform == "win99" \\\n'
    )
    (tmp_path / "requirements.txt").write_text(lock)
    environment.setattr(module, "REPOSITORY", tmp_path)
    assert ill()["packages"].startswith("2 are missing or of another version (requests, nobody-wrote-this).")
    assert "run.py lab" in ill()["packages"]


def test_a_folder_that_cannot_be_written_to(emulator: object, environment: pytest.MonkeyPatch) -> None:
    environment.setattr(module.os, "getcwd", lambda: "/proc/1")
    assert "run.py start" in ill()["folder"]


def test_an_old_python(emulator: object, environment: pytest.MonkeyPatch) -> None:
    environment.setattr(module, "OLDEST_PYTHON", (99, 1))
    assert "install Python 99.1" in ill()["Python"]


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("no answer from https://my-service.dicom.azurehealthcareapis.com/v2/x", "https://….dicom.azurehealthcareapis.com"),
        ("token eyJhbGciOi.eyJzdWIi.c2ln refused", "token … refused"),
        ("cannot open /some/folder/of/mine/file.txt", "cannot open …"),
    ],
)
def test_what_is_private_is_masked(text: str, seen: str) -> None:
    assert seen in masked(text) and "my-service" not in masked(text) and "mine" not in masked(text)


def test_an_address_without_a_dot_is_masked_too() -> None:
    assert shown("https://secret") == "https://…"
