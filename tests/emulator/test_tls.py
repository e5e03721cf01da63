"""--tls: HTTPS with the emulator's own certificate authority, for clients that check certificates."""

import os
import shlex
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
import trustme
from azure.identity import ManagedIdentityCredential

import dicom_emulator
from dicom_emulator import RunningServer
from tests.emulator.conftest import session
from tests.emulator.dicom_files import instance, multipart
from tests.emulator.test_command_line import COMMAND, JSON, SCOPE, Started, environment, refused, started


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with dicom_emulator.running(tls=True) as server:
        yield server


@pytest.fixture
def owner(server: RunningServer) -> requests.Session:
    server.reset()
    client = session(server.credential.get_token(SCOPE).token)
    client.verify = str(server.ca_file)
    return client


def healthy(url: str, ca_file: Path | str | None) -> bool:
    return requests.get(f"{url}/health/check", verify=str(ca_file), timeout=10).status_code == 200


def told_ca_file(emulator: Started) -> Path:
    """The file that the second line on standard output names."""
    assert emulator.process.stdout
    too_long = threading.Timer(30, emulator.process.kill)
    too_long.start()
    export, variable = shlex.split(emulator.process.stdout.readline() or "none none")
    too_long.cancel()
    assert export == "export" and variable.startswith("REQUESTS_CA_BUNDLE=")
    return Path(variable.partition("=")[2])


class TestClients:
    def test_who_trusts_the_authority_is_served(self, server: RunningServer) -> None:
        assert server.url.startswith("https://127.0.0.1:")
        assert healthy(server.url, server.ca_file)

    def test_who_does_not_is_told_so_by_the_client(self, server: RunningServer) -> None:
        with pytest.raises(requests.exceptions.SSLError):
            session().get(f"{server.url}/health/check", timeout=10)

    def test_the_authority_of_another_emulator_does_not_count(self, server: RunningServer) -> None:
        with dicom_emulator.running(tls=True) as other, pytest.raises(requests.exceptions.SSLError):
            healthy(server.url, other.ca_file)

    @pytest.mark.parametrize("library", ["requests.get", "urllib.request.urlopen"])
    def test_the_environment_is_enough_for_a_child_process(self, server: RunningServer, library: str) -> None:
        code = f"import os, {library.rpartition('.')[0]}\n{library}(os.environ['DICOM_SERVICE_URL'] + '/health/check')"
        child = {**os.environ, **server.environment}
        done = subprocess.run([sys.executable, "-c", code], env=child, capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, done.stderr

    def test_azure_identity_signs_in(
        self, server: RunningServer, owner: requests.Session, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        token = ManagedIdentityCredential().get_token(SCOPE).token
        owner.headers["Authorization"] = f"Bearer {token}"
        assert owner.get(f"{server.url}/v2/changefeed").status_code == 200

    def test_control_trusts_it_where_it_is_told_to(self, server: RunningServer, tmp_path: Path) -> None:
        server.control.clear_requests()
        assert server.control.requests() == []
        trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")
        for ca_file in (None, tmp_path / "other.pem"):
            with pytest.raises(dicom_emulator.ControlError, match="certificate"):
                dicom_emulator.Control(server.url, ca_file).requests()

    def test_without_tls_nobody_is_told_whom_to_trust(self) -> None:
        with dicom_emulator.running() as plain:
            assert plain.ca_file is None
            assert not {"REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"} & plain.environment.keys()

    NO_TLS = {"http": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "noise": b"\x00\xff" * 500, "nothing": b""}

    @pytest.mark.parametrize("sent", NO_TLS.values(), ids=NO_TLS)
    def test_a_client_that_speaks_no_tls_disturbs_nobody(self, sent: bytes) -> None:
        with started("--tls") as emulator:
            ca_file = told_ca_file(emulator)
            with socket.create_connection(("127.0.0.1", emulator.port), timeout=10) as connection:
                connection.sendall(sent)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(4096):
                    pass
            assert healthy(emulator.url, ca_file)
            assert emulator.stop() == 0
            assert emulator.process.communicate(timeout=5)[1].splitlines()[1:] == [], "the log has the good request"


class TestCertificate:
    def names(self, server: RunningServer) -> set[str]:
        """What the certificate is for, as a client sees it."""
        address = urlsplit(server.url)
        context = ssl.create_default_context(cafile=server.ca_file)
        connection = socket.create_connection((address.hostname or "", address.port or 0), timeout=10)
        with context.wrap_socket(connection, server_hostname=address.hostname) as secured:
            return {name for _, name in secured.getpeercert()["subjectAltName"]}

    def test_it_is_for_every_name_of_this_machine(self, server: RunningServer) -> None:
        assert {"127.0.0.1", "0:0:0:0:0:0:0:1", "localhost"} <= self.names(server)
        own = socket.gethostname()
        assert own in self.names(server) or "_" in own

    def test_it_is_for_the_host_that_was_asked_for(self) -> None:
        with dicom_emulator.running(tls=True, host="0.0.0.0") as server:
            assert "0.0.0.0" in self.names(server)

    def test_the_service_writes_https_in_its_answers(self, server: RunningServer, owner: requests.Session) -> None:
        body, content_type = multipart(instance())
        headers = JSON | {"Content-Type": content_type}
        stored = owner.post(f"{server.url}/v2/studies", data=body, headers=headers)
        assert f'"{server.url}/v2/studies/' in stored.text
        tag = [{"Path": "PatientAge", "VR": "AS", "Level": "Study"}]
        added = owner.post(f"{server.url}/v2/extendedquerytags", json=tag)
        assert added.headers["Location"].startswith(f"{server.url}/v2/operations/")


class TestAuthority:
    def test_it_is_made_once_and_kept_in_the_data_folder(self, tmp_path: Path) -> None:
        with started("--tls", "--data-dir", str(tmp_path)) as emulator:
            ca_file = told_ca_file(emulator)
            assert ca_file == tmp_path / "tls" / "ca.pem"
            before = ca_file.read_bytes()
            assert healthy(emulator.url, ca_file)
        with started("--tls", "--data-dir", str(tmp_path)) as again:
            assert told_ca_file(again).read_bytes() == before
            assert healthy(again.url, ca_file)

    def test_its_keys_are_for_the_owner_only(self, tmp_path: Path) -> None:
        with dicom_emulator.running(tls=True, data_dir=tmp_path):
            secret = [path for path in (tmp_path / "tls").iterdir() if b"PRIVATE KEY" in path.read_bytes()]
            assert len(secret) == 2 and {path.stat().st_mode & 0o077 for path in secret} == {0}

    def test_without_a_data_folder_it_goes_with_the_emulator(self, tmp_path: Path) -> None:
        with started(DICOM_EMULATOR_TLS="1", TMPDIR=str(tmp_path)) as emulator:
            assert tmp_path in told_ca_file(emulator).parents
            assert emulator.stop() == 0
            assert list(tmp_path.iterdir()) == []

    def test_a_damaged_one_is_said_in_one_line(self, tmp_path: Path) -> None:
        with dicom_emulator.running(tls=True, data_dir=tmp_path):
            pass
        (tmp_path / "tls" / "authority.pem").write_text("nonsense")
        said = refused("--port", "0", "--tls", "--data-dir", str(tmp_path))
        assert "authority.pem" in said and len(said.splitlines()) == 1

    def test_a_missing_package_is_named(self) -> None:
        code = (
            "import sys; sys.modules['trustme'] = None\n"
            "from dicom_emulator.__main__ import main; sys.exit(main(['--tls', '--port', '0']))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment(), text=True, capture_output=True, timeout=30
        )
        assert done.returncode == 1 and done.stdout == ""
        assert "pip install trustme" in done.stderr and len(done.stderr.splitlines()) == 1


class TestPrintEnv:
    def printed(self, *arguments: str) -> tuple[dict[str, str], str]:
        """The variables, and what is said on standard error."""
        done = subprocess.run(
            [*COMMAND, "--print-env", "--tls", "--port", "8123", *arguments],
            env=environment(), text=True, capture_output=True, timeout=30,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        pairs = (shlex.split(line)[1].partition("=") for line in done.stdout.splitlines())
        return {name: value for name, _, value in pairs}, done.stderr

    def test_the_file_is_known_with_a_data_folder(self, tmp_path: Path) -> None:
        variables, said = self.printed("--data-dir", str(tmp_path))
        assert variables["DICOM_SERVICE_URL"] == "https://127.0.0.1:8123"
        assert variables["REQUESTS_CA_BUNDLE"] == variables["SSL_CERT_FILE"] == str(tmp_path / "tls" / "ca.pem")
        assert said == ""

    def test_without_one_the_way_to_it_is_told(self) -> None:
        variables, said = self.printed()
        assert variables["IDENTITY_ENDPOINT"].startswith("https://") and "REQUESTS_CA_BUNDLE" not in variables
        assert "--data-dir" in said and "export REQUESTS_CA_BUNDLE=" in said
