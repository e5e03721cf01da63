"""Which service is used, and the emulator that the kernel starts for itself."""

import os
import sys
from pathlib import Path

import pytest
import requests

from helpers import service
from helpers.service import EmulatorDidNotStart, EmulatorProcess, WrongAddress, choose_service, server_name

AZURE = "https://my-service.dicom.azurehealthcareapis.com"


@pytest.mark.parametrize("value", [AZURE, f" {AZURE}/ ", f'"{AZURE}"'])
def test_named_service(environment: pytest.MonkeyPatch, value: str) -> None:
    environment.setenv("DICOM_SERVICE_URL", value)
    assert choose_service() == AZURE


@pytest.mark.parametrize("value", ["example.org", f"{AZURE}/v2", f"{AZURE}/v1.0-prerelease/", "ftp://x"])
def test_named_service_that_is_no_address(environment: pytest.MonkeyPatch, value: str) -> None:
    environment.setenv("DICOM_SERVICE_URL", value)
    with pytest.raises(WrongAddress, match="should be the service URL of the portal"):
        choose_service()


def test_names_of_servers(environment: pytest.MonkeyPatch) -> None:
    assert server_name(f"{AZURE}/v2/studies") == "my-service.dicom.azurehealthcareapis.com"
    assert server_name("http://localhost:8080") == "service on this machine"
    environment.setenv("IDENTITY_ENDPOINT", "http://127.0.0.1:8080/_emulator/identity/token")
    assert server_name("http://localhost:8080") == "emulator on this machine"


def test_another_service_is_signed_in_to_as_before(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("IDENTITY_HEADER", "mine")

    class Running:
        url = "http://127.0.0.1:5"

        def is_running(self) -> bool:
            return True

    environment.setattr(service, "_emulator", Running())
    assert choose_service() == choose_service() == "http://127.0.0.1:5"
    assert os.environ["IDENTITY_ENDPOINT"] == "http://127.0.0.1:5/_emulator/identity/token"
    assert os.environ["IDENTITY_HEADER"] == "owner"
    environment.setenv("DICOM_SERVICE_URL", "https://example.org")
    choose_service()
    assert os.environ["IDENTITY_HEADER"] == "mine"
    assert "IDENTITY_ENDPOINT" not in os.environ and "AZURE_TOKEN_CREDENTIALS" not in os.environ


def fake_python(tmp_path: Path, script: str) -> str:
    """An executable that runs `script` whatever it is asked to run."""
    path = tmp_path / "python"
    path.write_text(f"#!{sys.executable}\nimport sys, time\n{script}\n")
    path.chmod(0o755)
    return str(path)


def test_an_emulator_that_fails_shows_its_last_words(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script = "print('\\n'.join(f'line {n}' for n in range(20)), 'no room', sep='\\n', file=sys.stderr); sys.exit(1)"
    environment.setattr(sys, "executable", fake_python(tmp_path, script))
    with pytest.raises(EmulatorDidNotStart, match="last words:\nline 13\n[^\0]*no room$"):
        EmulatorProcess()


def test_an_emulator_that_hangs_is_given_up(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    environment.setattr(sys, "executable", fake_python(tmp_path, "sys.stdin.read()"))
    environment.setattr(service, "START_TIMEOUT", 0.5)
    with pytest.raises(EmulatorDidNotStart, match="not ready after 0.5 seconds"):
        EmulatorProcess()


def test_a_talkative_emulator_does_not_block(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    done = tmp_path / "done"
    script = (
        "print('DICOM service emulator ready at http://127.0.0.1:5', flush=True)\n"
        "print('x' * 1_000_000, flush=True)\n"
        f"open({str(done)!r}, 'w').close()\n"
        "sys.stdin.read()"
    )
    environment.setattr(sys, "executable", fake_python(tmp_path, script))
    emulator = EmulatorProcess()
    assert emulator.url == "http://127.0.0.1:5" and emulator.is_running()
    emulator.stop()
    assert done.exists() and emulator.process.returncode == 0


def test_settings_of_another_emulator_are_not_taken_over(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    environment.setenv("DICOM_EMULATOR_DATA_DIR", str(tmp_path))
    script = "import os; print([n for n in os.environ if 'DICOM_EMULATOR' in n], sys.argv[1:], file=sys.stderr)"
    environment.setattr(sys, "executable", fake_python(tmp_path, script))
    with pytest.raises(EmulatorDidNotStart) as caught:
        EmulatorProcess()
    assert str(caught.value).endswith("[] ['-m', 'dicom_emulator', '--port', '0', '--until-stdin-closes']")


def test_the_names_of_this_machine_are(environment: pytest.MonkeyPatch) -> None:
    """Where Jupyter stands behind a name, its proxy asks the emulator under that name."""
    environment.setenv("DICOM_EMULATOR_ALLOWED_HOST", "room.example")
    emulator = EmulatorProcess()
    try:
        asked = {
            name: requests.get(f"{emulator.url}/_emulator/summary", headers={"Host": name}, timeout=10).status_code
            for name in ("room.example:8000", "127.0.0.1:8888", "192.168.0.7", "other.example")
        }
    finally:
        emulator.stop()
    assert asked == {"room.example:8000": 200, "127.0.0.1:8888": 200, "192.168.0.7": 200, "other.example": 421}


def test_a_second_emulator_takes_options_and_no_proxy_is_asked_for_it(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("HTTP_PROXY", "http://proxy.invalid:1")
    small = EmulatorProcess("--no-auth", "--max-file-size", "5")
    try:
        headers = {"Accept": "application/dicom+json", "Content-Type": "application/dicom"}
        response = requests.post(f"{small.url}/v2/studies", data=b"123456", headers=headers, timeout=10)
    finally:
        small.stop()
    assert response.status_code == 413 and "limit of 5 bytes" in response.text
