"""dicom_emulator.Control: the controls from Python."""

import http.server
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import dicom_emulator
from dicom_emulator import Control, ControlError
from dicom_emulator.app import ROUTES
from dicom_emulator.control import identity, synthetic
from tests.emulator.conftest import Service, session
from tests.emulator.dicom_files import instance
from tests.emulator.storing import is_empty, search
from tests.emulator.test_command_line import REPOSITORY, environment, started

README = REPOSITORY / "dicom_emulator" / "README.md"


@pytest.fixture
def control(service: Service) -> Iterator[Control]:
    control = Control(service.url)
    yield control
    for snapshot in control.snapshots():
        control.forget(snapshot["name"])


def test_seed_save_reset_restore(service: Service, control: Control) -> None:
    seeded = control.seed()
    assert seeded == {"stored": len(synthetic.instances()), "refused": []}
    assert control.save("seeded")["instances"] == seeded["stored"]
    control.reset()
    assert is_empty(service)
    control.restore("seeded")
    assert len(search(service, "instances", limit="200")) == seeded["stored"]


def test_seed_from_a_folder_that_is_relative_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "one.dcm").write_bytes(instance())
    with started() as emulator:
        monkeypatch.chdir(tmp_path)
        control = Control(emulator.url)
        assert control.seed("here") == control.seed(tmp_path / "here") == {"stored": 1, "refused": []}


def test_snapshots_are_listed_and_forgotten(control: Control) -> None:
    control.save("a")
    control.save("b")
    assert [snapshot["name"] for snapshot in control.snapshots()] == ["a", "b"]
    control.forget("a")
    assert [snapshot["name"] for snapshot in control.snapshots()] == ["b"]


def test_the_request_log(service: Service, control: Control) -> None:
    search(service, "studies")
    assert [(each["method"], each["status"]) for each in control.requests()] == [("GET", 204)]
    control.clear_requests()
    assert control.requests() == []


def test_faults(service: Service, control: Control) -> None:
    control.fault(path="/v2/studies*", status=503)
    assert service.owner.get(f"{service.v2}/studies").status_code == 503
    assert [rule["seen"] for rule in control.faults()] == [1]
    control.clear_faults()
    assert control.faults() == []


def test_the_least_time_of_operations(control: Control) -> None:
    assert control.operation_time == 0
    control.operation_time = 2.5
    assert control.operation_time == 2.5


@pytest.mark.parametrize(
    ("do", "status", "text"),
    [
        (lambda control: control.restore("x"), 404, "There is no snapshot 'x'; there is none yet."),
        (lambda control: control.forget("../x"), 404, "/_emulator/snapshots/..%2Fx: 404"),
        (lambda control: control.restore("é ?"), 400, "name of a snapshot"),
        (lambda control: control.save(".x"), 400, "name of a snapshot"),
        (lambda control: control.seed("no-such-folder"), 400, "no folder"),
        (lambda control: control.fault(stauts=503), 400, "no 'stauts'"),
        (lambda control: setattr(control, "operation_time", -1), 400, "between 0 and 3600"),
    ],
)
def test_what_the_emulator_refuses_raises_its_text(control: Control, do: Any, status: int, text: str) -> None:
    with pytest.raises(ControlError) as refused:
        do(control)
    assert refused.value.status == status and text in str(refused.value)


def test_an_emulator_that_is_gone_is_said_to_be() -> None:
    with dicom_emulator.running() as server:
        control = server.control
    with pytest.raises(ControlError, match=f"no emulator answers at {server.url}: ") as gone:
        control.reset()
    assert gone.value.status is None


class Liar(http.server.BaseHTTPRequestHandler):
    """Some other server."""

    def do_GET(self) -> None:
        self.wfile.write(
            b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>" if "faults" in self.path else b"HELLO\r\n"
        )

    def log_message(self, *_: Any) -> None:
        pass


@pytest.mark.parametrize("what", ["requests", "faults"])
def test_a_server_that_is_no_emulator_is_an_error_too(what: str) -> None:
    with http.server.HTTPServer(("127.0.0.1", 0), Liar) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        with pytest.raises(ControlError, match="no emulator answers"):
            getattr(Control(f"http://127.0.0.1:{server.server_port}"), what)()
        thread.join()


@pytest.mark.parametrize("url", ["", "127.0.0.1:8080", "localhost:8080", "file:///etc/hosts"])
def test_what_is_no_url_is_refused_at_once(url: str) -> None:
    with pytest.raises(ValueError, match="no URL of an emulator"):
        Control(url)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_proxy_is_not_asked_for_this_machine(service: Service, host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    assert Control(service.url.replace("127.0.0.1", host)).faults() == []


def test_a_running_server_has_one(emulator: dicom_emulator.RunningServer) -> None:
    assert repr(emulator.control) == f"Control('{emulator.url}')"
    assert emulator.control.faults() == []


def test_a_slash_at_the_end_of_the_url_is_fine(service: Service) -> None:
    assert Control(service.url + "/").faults() == []


def test_the_fixture_of_the_pytest_plugin_has_one(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(
        "def test_mine(dicom_service):\n"
        "    dicom_service.control.fault(status=503)\n"
        "    dicom_service.control.operation_time = 9\n"
        "def test_the_next(dicom_service):\n"
        "    assert dicom_service.control.faults() == [] and dicom_service.control.operation_time == 0\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "dicom_emulator.pytest_plugin", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, f"--rootdir={tmp_path}", str(tmp_path)],
        env=environment(),
        text=True,
        capture_output=True,
        timeout=60,
    )
    assert "2 passed" in done.stdout, done.stdout + done.stderr


def test_it_needs_the_standard_library_alone() -> None:
    source = REPOSITORY / "dicom_emulator" / "control" / "client.py"
    done = subprocess.run([sys.executable, "-I", "-S", str(source)], text=True, capture_output=True, timeout=30)
    assert (done.returncode, done.stderr) == (0, "")


def table() -> list[tuple[str, str]]:
    """The curl and the Python cell of each row in the README's table of controls."""
    section = README.read_text("utf-8").split("## Control\n")[1].split("\nA fault is a JSON object")[0]
    cells = [line.strip("|").split(" | ") for line in section.splitlines() if line.startswith("| ")][2:]
    return [(curl.strip(" `"), python.strip(" `|")) for _, curl, python in cells]


@pytest.mark.parametrize(("curl", "python"), table(), ids=lambda text: text)
def test_each_row_of_the_readmes_table_works_with_curl_and_in_python(
    service: Service, control: Control, curl: str, python: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "files").mkdir()
    control.save("before")
    method, path, body = read_curl(curl.replace("/path/to/files", str(tmp_path / "files")))
    response = session().request(method, f"{service.url}/_emulator{path}", data=body, timeout=60)
    assert response.status_code in {200, 201, 204}, response.text
    control.save("before")
    exec(python, {"control": control})


def read_curl(command: str) -> tuple[str, str, str | None]:
    """(method, path below $E, body) of a curl command as the README has them."""
    words = shlex.split(command)
    assert words.pop(0) == "curl"
    options = {option: words.pop(words.index(option) + 1) for option in ("-X", "-d") if option in words}
    (url,) = [word for word in words if word not in options]
    return options.get("-X", "POST" if "-d" in options else "GET"), url.removeprefix("$E"), options.get("-d")


def test_the_readmes_table_is_complete() -> None:
    python = " ".join(cell for _, cell in table())
    public = [name for name in vars(Control) if not name.startswith("_")]
    assert [name for name in public if f"control.{name}" not in python] == []
    listed = {tuple(read_curl(curl)[:2]) for curl, _ in table()}
    below = [
        route
        for route in ROUTES
        if route.path.startswith("/_emulator/")
        and route.path != identity.PATH
        and not route.endpoint.__module__.endswith(".home")  # the page, and what only it asks for
    ]
    missing = [
        (method, route.path)
        for route in below
        for method in (route.methods or set()) - {"HEAD"}
        if (method, route.path.removeprefix("/_emulator").replace("{name}", "before")) not in listed
    ]
    assert missing == []
