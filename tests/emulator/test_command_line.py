"""Starting and stopping: `python -m dicom_emulator` as a process, and `dicom_emulator.running()` inside one."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

import dicom_emulator
from tests.emulator.conftest import session
from tests.emulator.dicom_files import instance, multipart, path

REPOSITORY = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "dicom_emulator"]
JSON = {"Accept": "application/dicom+json"}
SCOPE = "https://dicom.healthcareapis.azure.com/.default"
OPTIONS = ["--host", "--allowed-host", "--port", "--data-dir", "--durable", "--seed", "--no-auth", "--cors-origin",
           "--max-file-size",
           "--max-transcode-size", "--token-lifetime", "--tls", "--log-format", "--until-stdin-closes", "--print-env"]  # fmt: skip


def environment(**variables: str) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("DICOM_EMULATOR_")}
    return clean | {"PYTHONPATH": str(REPOSITORY)} | variables


@dataclass
class Started:
    """A process that said it is ready."""

    process: subprocess.Popen[str]
    url: str

    @property
    def port(self) -> int:
        return urlsplit(self.url).port or 0

    def owner(self) -> requests.Session:
        answer = session().get(
            f"{self.url}/_emulator/identity/token",
            params={"api-version": "2019-08-01", "resource": "https://dicom.healthcareapis.azure.com"},
            headers={"X-IDENTITY-HEADER": "owner", "Metadata": "true"},
            timeout=10,
        )
        return session(answer.json()["access_token"])

    def store(self, *files: bytes) -> requests.Response:
        body, content_type = multipart(*files)
        return self.owner().post(f"{self.url}/v2/studies", data=body, headers=JSON | {"Content-Type": content_type})

    def retrieve(self, file: bytes) -> requests.Response:
        headers = {"Accept": "application/dicom; transfer-syntax=*"}
        return self.owner().get(f"{self.url}/v2/{path(file)}", headers=headers)

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(15)


@contextlib.contextmanager
def started(*arguments: str, stdin: int = subprocess.DEVNULL, **variables: str) -> Iterator[Started]:
    """`python -m dicom_emulator` with `arguments`, from its ready line until the end of the block."""
    if "--port" not in arguments and "DICOM_EMULATOR_PORT" not in variables:
        arguments += ("--port", "0")
    process = subprocess.Popen(
        [*COMMAND, *arguments], env=environment(**variables), text=True, stdin=stdin, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    try:
        assert process.stdout
        line = process.stdout.readline()
        ready = re.fullmatch(r"DICOM service emulator ready at (https?://\S+:[1-9]\d*)\n", line)
        assert ready, line or process.communicate(timeout=5)[1]
        yield Started(process, ready[1])
    finally:
        process.terminate()  # so that its temporary folder goes, too
        try:
            process.communicate(timeout=15)
        finally:
            process.kill()


def refused(*arguments: str, preexec: Callable[[], None] | None = None, **variables: str) -> str:
    """What a start that must fail says on stderr: one line, and nothing else. `preexec` runs in the child before."""
    done = subprocess.run(
        [*COMMAND, *arguments], env=environment(**variables), text=True, capture_output=True, timeout=30,
        stdin=subprocess.DEVNULL, preexec_fn=preexec,
    )  # fmt: skip
    assert done.returncode not in (0, -signal.SIGKILL)
    assert done.stdout == "" and "Traceback" not in done.stderr
    return done.stderr.strip()


class TestReady:
    def test_the_ready_line_comes_first_and_requests_are_served_then(self) -> None:
        with started("--port", "0") as one, started("--port", "0") as other:
            assert one.port != other.port
            for emulator in (one, other):
                assert emulator.url.startswith("http://127.0.0.1:")
                assert session().get(f"{emulator.url}/health/check").status_code == 200
                assert session().get(f"{emulator.url}/v2/changefeed").status_code == 401, "sign-in is on by default"
                assert emulator.owner().get(f"{emulator.url}/v2/changefeed").status_code == 200

    def test_a_given_port_and_host_are_used(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        with started("--port", str(port), "--host", "localhost") as emulator:
            assert emulator.port == port
            assert session().get(f"{emulator.url}/health/check").status_code == 200


class TestStop:
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_requests_in_flight_are_finished(self, tmp_path: Path, number: int) -> None:
        file = instance()
        body, content_type = multipart(file)
        with started("--data-dir", str(tmp_path)) as emulator:
            token = emulator.owner().headers["Authorization"]
            head = (
                f"POST /v2/studies HTTP/1.1\r\nHost: localhost\r\nAuthorization: {token}\r\nConnection: close\r\n"
                f"Accept: */*\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
            )
            with socket.create_connection(("127.0.0.1", emulator.port), timeout=15) as connection:
                connection.sendall(head.encode() + body[:100])
                time.sleep(0.3)
                emulator.process.send_signal(number)
                time.sleep(0.3)
                connection.sendall(body[100:])
                assert connection.recv(4096).startswith(b"HTTP/1.1 200")
            assert emulator.process.wait(15) == 0
        with started("--data-dir", str(tmp_path)) as again:
            assert again.retrieve(file).content == file

    def test_it_ends_when_standard_input_does_if_told_so(self) -> None:
        with started("--until-stdin-closes", stdin=subprocess.PIPE) as emulator:
            time.sleep(0.5)
            assert emulator.process.poll() is None
            assert emulator.process.stdin
            emulator.process.stdin.close()
            assert emulator.process.wait(10) == 0
            emulator.process.stdin = None

    def test_it_ends_with_a_parent_that_was_killed(self) -> None:
        parent = (
            "import os, signal, subprocess, sys\n"
            "command = [sys.executable, '-m', 'dicom_emulator', '--port', '0', '--until-stdin-closes']\n"
            "child = subprocess.Popen(command, start_new_session=True,\n"
            "    stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)\n"
            "print(child.stdout.readline().split()[-1], flush=True)\n"
            "os.kill(os.getpid(), signal.SIGKILL)\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", parent], env=environment(), text=True, stdout=subprocess.PIPE, timeout=30
        )
        url = done.stdout.strip()
        assert done.returncode == -signal.SIGKILL and url.startswith("http://127.0.0.1:")
        with pytest.raises(requests.ConnectionError):
            for _ in range(100):
                session().get(f"{url}/health/check", timeout=5)
                time.sleep(0.1)

    def test_otherwise_a_closed_standard_input_does_not_matter(self) -> None:
        with started(stdin=subprocess.DEVNULL) as emulator:
            time.sleep(0.7)
            assert session().get(f"{emulator.url}/health/check").status_code == 200


class TestDataDirectory:
    def test_everything_survives_a_kill_and_a_restart(self, tmp_path: Path) -> None:
        kept, deleted = instance(StudyDate="20200922"), instance()
        folder = tmp_path / "not" / "there" / "yet"
        with started("--data-dir", str(folder)) as emulator:
            assert emulator.store(kept, deleted).status_code == 200
            url = f"{emulator.url}/v2"
            assert emulator.owner().delete(f"{url}/{path(deleted)}").status_code == 204
            before = [
                emulator.owner().get(f"{url}/{target}", headers=JSON).text
                for target in ("studies", "instances", "changefeed", f"{path(kept)}/metadata")
            ]
            emulator.stop(signal.SIGKILL)
        with started("--data-dir", str(folder)) as emulator:
            url = f"{emulator.url}/v2"
            after = [
                emulator.owner().get(f"{url}/{target}", headers=JSON).text
                for target in ("studies", "instances", "changefeed", f"{path(kept)}/metadata")
            ]
            assert after == before
            assert emulator.retrieve(kept).content == kept and emulator.retrieve(deleted).status_code == 404
            assert emulator.store(kept).status_code == 409 and emulator.store(deleted).status_code == 200
            feed = emulator.owner().get(f"{url}/changefeed").json()
            assert [event["sequence"] for event in feed] == sorted({event["sequence"] for event in feed})

    def test_without_one_a_temporary_folder_is_used_and_removed_at_the_end(self, tmp_path: Path) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            with started(TMPDIR=str(tmp_path)) as emulator:
                assert emulator.store(instance()).status_code == 200
                assert list(tmp_path.iterdir())
                assert emulator.stop(number) == 0
                assert list(tmp_path.iterdir()) == []
                said = emulator.process.communicate(timeout=5)
                assert said[0] == "" and "Traceback" not in said[1]

    def test_two_emulators_never_share_one(self, tmp_path: Path) -> None:
        with started("--data-dir", str(tmp_path)) as emulator:
            said = refused("--port", "0", "--data-dir", str(tmp_path))
            assert str(tmp_path) in said and len(said.splitlines()) == 1
            assert emulator.store(instance()).status_code == 200
        with started("--data-dir", str(tmp_path)) as emulator:
            assert session().get(f"{emulator.url}/health/check").status_code == 200, "free again after a kill"

    def test_a_file_is_no_folder(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        said = refused("--port", "0", "--data-dir", str(tmp_path / "file"))
        assert str(tmp_path / "file") in said and len(said.splitlines()) == 1


class TestOptions:
    @pytest.fixture
    def seeds(self, tmp_path: Path) -> Path:
        """Two instances, one of them in a folder below, and a file that is no DICOM."""
        (tmp_path / "seeds" / "below").mkdir(parents=True)
        (tmp_path / "seeds" / "one.dcm").write_bytes(instance())
        (tmp_path / "seeds" / "below" / "two.dcm").write_bytes(instance())
        (tmp_path / "seeds" / "list.csv").write_text("not,DICOM\n")
        return tmp_path / "seeds"

    def test_seed_stores_the_files_of_a_folder_before_the_ready_line(self, seeds: Path, tmp_path: Path) -> None:
        expected = {file.read_bytes() for file in seeds.rglob("*.dcm")}
        for _ in range(2):  # the second time they are there already
            with started("--seed", str(seeds), "--data-dir", str(tmp_path / "data")) as emulator:
                feed = emulator.owner().get(f"{emulator.url}/v2/changefeed").json()
                assert len(feed) == 2
                assert {emulator.retrieve(file).content for file in expected} == expected
                emulator.stop()

    def test_no_auth_lets_everybody_in(self) -> None:
        with started("--no-auth") as emulator:
            assert session().get(f"{emulator.url}/v2/changefeed").status_code == 200
            assert session().delete(f"{emulator.url}/v2/studies/1.2").status_code == 404

    def check_limits(self, emulator: Started) -> None:
        """--max-file-size 2000, --max-transcode-size 1000 and --token-lifetime 100."""
        assert emulator.store(instance(PatientComments="x" * 2000)).status_code == 413
        file = instance("1.2.840.10008.1.2", PatientComments="x" * 1000)
        assert emulator.store(file).status_code == 202
        transcoded = {"Accept": "application/dicom; transfer-syntax=1.2.840.10008.1.2.1"}
        assert emulator.owner().get(f"{emulator.url}/v2/{path(file)}", headers=transcoded).status_code == 406
        answer = (
            session()
            .get(
                f"{emulator.url}/_emulator/identity/token",
                params={"api-version": "2019-08-01", "resource": "https://dicom.healthcareapis.azure.com"},
                headers={"X-IDENTITY-HEADER": "owner"},
            )
            .json()
        )
        assert time.time() + 80 < int(answer["expires_on"]) < time.time() + 102

    def test_origins_may_be_several_and_limits_hold(self) -> None:
        origins = ["http://one.example", "http://two.example:3000"]
        limits = ["--max-file-size", "2000", "--max-transcode-size", "1000", "--token-lifetime", "100"]
        with started("--cors-origin", origins[0], "--cors-origin", origins[1], *limits) as emulator:
            self.check_limits(emulator)
            for origin in origins:
                response = session().get(f"{emulator.url}/health/check", headers={"Origin": origin})
                assert response.headers["Access-Control-Allow-Origin"] == origin
            response = session().get(f"{emulator.url}/health/check", headers={"Origin": "http://three.example"})
            assert "Access-Control-Allow-Origin" not in response.headers

    def test_every_option_is_also_an_environment_variable(self, seeds: Path, tmp_path: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        variables = {
            "DICOM_EMULATOR_HOST": "localhost",
            "DICOM_EMULATOR_PORT": str(port),
            "DICOM_EMULATOR_DATA_DIR": str(tmp_path / "data"),
            "DICOM_EMULATOR_SEED": str(seeds),
            "DICOM_EMULATOR_CORS_ORIGIN": "http://one.example",
            "DICOM_EMULATOR_MAX_FILE_SIZE": "2000",
            "DICOM_EMULATOR_MAX_TRANSCODE_SIZE": "1000",
            "DICOM_EMULATOR_TOKEN_LIFETIME": "100",
            "DICOM_EMULATOR_UNTIL_STDIN_CLOSES": "1",
        }
        with started(stdin=subprocess.PIPE, **variables) as emulator:
            assert emulator.port == port
            assert list((tmp_path / "data").iterdir())
            assert len(emulator.owner().get(f"{emulator.url}/v2/changefeed").json()) == 2
            response = session().get(f"{emulator.url}/health/check", headers={"Origin": "http://one.example"})
            assert response.headers["Access-Control-Allow-Origin"] == "http://one.example"
            self.check_limits(emulator)
            assert emulator.process.stdin
            emulator.process.stdin.close()
            assert emulator.process.wait(10) == 0
            emulator.process.stdin = None
        with started(DICOM_EMULATOR_NO_AUTH="1") as emulator:
            assert session().get(f"{emulator.url}/v2/changefeed").status_code == 200
        with started(DICOM_EMULATOR_NO_AUTH="0") as emulator:
            assert session().get(f"{emulator.url}/v2/changefeed").status_code == 401

    def test_the_command_line_wins_over_the_environment(self) -> None:
        with started("--port", "0", DICOM_EMULATOR_PORT="1", DICOM_EMULATOR_TOKEN_LIFETIME="5") as emulator:
            assert emulator.port > 1

    def test_print_env_prints_what_a_shell_needs_to_sign_in(self) -> None:
        """Without starting anything: the emulator may run already."""
        script = f'eval "$({sys.executable} -m dicom_emulator --print-env --port 8123)" && env'
        done = subprocess.run(["sh", "-c", script], env=environment(), text=True, capture_output=True, timeout=30)
        assert done.returncode == 0, done.stderr
        variables = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
        assert variables["IDENTITY_ENDPOINT"] == "http://127.0.0.1:8123/_emulator/identity/token"
        assert variables["IDENTITY_HEADER"] == "owner"
        with dicom_emulator.running() as server:
            here = server.environment.items()
        expected = {name: value.replace(server.url, "http://127.0.0.1:8123") for name, value in here}
        assert {name: variables.get(name) for name in expected} == expected

    def test_help_names_every_option(self) -> None:
        done = subprocess.run([*COMMAND, "--help"], env=environment(), text=True, capture_output=True, timeout=30)
        assert done.returncode == 0
        assert [option for option in OPTIONS if option not in done.stdout] == []


class TestMistakes:
    def test_a_port_in_use_is_said_in_one_line(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as occupant:
            port = str(occupant.getsockname()[1])
            said = refused("--port", port)
        assert port in said and "--port" in said and len(said.splitlines()) == 1

    @pytest.mark.parametrize(
        ("arguments", "named"),
        [
            (["--port", "many"], "--port"),
            (["--port", "70000"], "--port"),
            (["--max-file-size", "0"], "--max-file-size"),
            (["--token-lifetime", "-5"], "--token-lifetime"),
            (["--nonsense"], "--nonsense"),
            (["--port", "0", "--seed", "no-such-folder"], "no-such-folder"),
        ],
    )
    def test_a_wrong_option_is_named(self, arguments: list[str], named: str) -> None:
        assert named in refused(*arguments)

    @pytest.mark.parametrize(
        ("variable", "value"), [("DICOM_EMULATOR_PORT", "many"), ("DICOM_EMULATOR_NO_AUTH", "perhaps")]
    )
    def test_a_wrong_environment_variable_is_named(self, variable: str, value: str) -> None:
        assert variable in refused(**{variable: value})


class TestInProcess:
    def test_running_keeps_its_data_directory(self, tmp_path: Path) -> None:
        file = instance()
        body, content_type = multipart(file)
        with dicom_emulator.running(data_dir=tmp_path) as server:
            owner = session(server.credential.get_token(SCOPE).token)
            headers = JSON | {"Content-Type": content_type}
            assert owner.post(f"{server.url}/v2/studies", data=body, headers=headers).status_code == 200
        with dicom_emulator.running(data_dir=tmp_path) as server:
            owner = session(server.credential.get_token(SCOPE).token)
            response = owner.get(f"{server.url}/v2/{path(file)}", headers={"Accept": "application/dicom"})
            assert response.content == file

    def test_it_ends_with_its_block(self) -> None:
        with dicom_emulator.running() as server:
            assert session().get(f"{server.url}/health/check").status_code == 200
        with pytest.raises(requests.ConnectionError):
            session().get(f"{server.url}/health/check", timeout=5)

    def test_its_temporary_folder_is_removed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
        with dicom_emulator.running():
            assert list(tmp_path.iterdir())
        assert list(tmp_path.iterdir()) == []

    def test_two_at_once_are_two_archives(self) -> None:
        body, content_type = multipart(instance())
        with dicom_emulator.running(sign_in=False) as one, dicom_emulator.running(sign_in=False) as other:
            headers = JSON | {"Content-Type": content_type}
            assert session().post(f"{one.url}/v2/studies", data=body, headers=headers).status_code == 200
            assert len(session().get(f"{one.url}/v2/changefeed").json()) == 1
            assert session().get(f"{other.url}/v2/changefeed").json() == []

    def test_a_second_one_on_the_same_directory_is_refused(self, tmp_path: Path) -> None:
        with dicom_emulator.running(data_dir=tmp_path):
            with pytest.raises(Exception, match=re.escape(str(tmp_path))):
                with dicom_emulator.running(data_dir=tmp_path):
                    pass

    @pytest.mark.parametrize("settings", [{"port": 70000}, {"max_file_size": 0}, {"nonsense": 1}])
    def test_wrong_settings_are_refused(self, settings: dict[str, Any]) -> None:
        with pytest.raises((ValueError, TypeError)), dicom_emulator.running(**settings):
            pass

    def test_seed_works_in_process_too(self) -> None:
        with dicom_emulator.running(seed=REPOSITORY / "sample_dcms", sign_in=False) as server:
            assert len(session().get(f"{server.url}/v2/instances", headers=JSON).json()) == 3

    def test_reset_empties_the_archive(self) -> None:
        with dicom_emulator.running(seed=REPOSITORY / "sample_dcms", sign_in=False) as server:
            response = session().post(f"{server.url}/_emulator/reset")
            assert (response.status_code, response.content) == (204, b"")
            assert session().get(f"{server.url}/v2/changefeed").json() == []
            assert session().get(f"{server.url}/v2/instances", headers=JSON).status_code == 204
            assert session().get(f"{server.url}/v2/changefeed/latest").status_code == 204
