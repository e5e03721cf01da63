"""run.py as a stranger types it: in a fresh clone, with an environment that holds nothing of this one."""

import ast
import errno
import importlib.util
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import requests

import run
from tests.copies import copy_repository, free_port, run_of
from tests.licences import PACKAGE

TOKEN = "run-test"
SECONDS_TO_INSTALL = 600
# Not the interpreter of this test's own .venv: a stranger has none.
PYTHON = getattr(sys, "_base_executable", sys.executable)
# What a machine may need to reach its package registry.
REGISTRY_VARIABLES = re.compile(r"(PIP|UV|SSL|REQUESTS|CURL)_\w+|(https?|all|no)_proxy", re.IGNORECASE)


def bare_environment(home: Path) -> dict[str, str]:
    """An environment like env -i's, but for the way to the package registry."""
    kept = {name: value for name, value in os.environ.items() if REGISTRY_VARIABLES.fullmatch(name)}
    # The settings that lie in the home folder, which is another one for the clone.
    for name, settings in (("PIP_CONFIG_FILE", "pip/pip.conf"), ("UV_CONFIG_FILE", "uv/uv.toml")):
        if (path := Path.home() / ".config" / settings).is_file():
            kept.setdefault(name, str(path))
    own_programs = str(Path(sys.executable).parent)
    path = os.pathsep.join(folder for folder in os.environ["PATH"].split(os.pathsep) if folder != own_programs)
    return {**kept, "PATH": path, "HOME": str(home)}


@dataclass
class Clone:
    folder: Path
    environment: dict[str, str]

    def run(self, *arguments: str, timeout: float = 120, **environment: str) -> subprocess.CompletedProcess[str]:
        """run.py to its end, without a terminal and without anything to read."""
        return subprocess.run(
            [PYTHON, "run.py", *arguments],
            cwd=self.folder,
            env={**self.environment, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    def start(self, *arguments: str, log: Path) -> subprocess.Popen[bytes]:
        """run.py in a process group of its own, as a terminal does it; all it prints goes to `log`."""
        with log.open("w") as output:
            return subprocess.Popen(
                [PYTHON, "run.py", *arguments],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )


def clone_in(folder: Path) -> Clone:
    home = folder / "home"
    home.mkdir()
    return Clone(copy_repository(folder / "clone"), bare_environment(home))


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    """A fresh clone in which nothing is installed."""
    return clone_in(tmp_path)


@dataclass
class Lab:
    """What came of one `run.py lab`: what was printed, and what the server answered."""

    printed: str
    start_page: str
    lesson: dict[str, Any]
    exit_code: int


def start_lab(clone: Clone, log: Path, *command: str, lesson: str = "notebooks/00-start-here.ipynb") -> Lab:
    port = free_port()
    clone.environment["JUPYTER_TOKEN"] = TOKEN
    options = ["--no-browser", f"--port={port}", "--ServerApp.port_retries=0"]
    server = clone.start(*(command or ["lab"]), *options, log=log)
    address = f"http://127.0.0.1:{port}"
    try:
        wait_for(f"{address}/api/status?token={TOKEN}", server, log)
        start_page = requests.get(f"{address}/?token={TOKEN}", timeout=30).url
        found = requests.get(f"{address}/api/contents/{lesson}", {"token": TOKEN, "content": "0"}, timeout=30)
    finally:
        server.terminate()
        exit_code = server.wait(30)
    return Lab(log.read_text(), start_page, found.json(), exit_code)


def wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + SECONDS_TO_INSTALL
    while time.monotonic() < end and process.poll() is None:
        try:
            if requests.get(url, timeout=5).ok:
                return
        except requests.ConnectionError:
            time.sleep(0.5)
    raise AssertionError(f"no answer:\n{log.read_text()}")


@pytest.fixture(scope="module")
def first_start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Clone, Lab]]:
    """`run.py lab` for the first time: the one real installation of these tests."""
    folder = tmp_path_factory.mktemp("first")
    clone = clone_in(folder)
    yield clone, start_lab(clone, folder / "first.log")


# In a fresh clone


def test_lab_installs_what_it_needs_and_opens_lesson_00(first_start: tuple[Clone, Lab]) -> None:
    _, lab = first_start
    assert "Making .venv" in lab.printed and "Installing the packages" in lab.printed
    assert lab.start_page.split("?")[0].endswith("/lab/tree/notebooks/00-start-here.ipynb")
    assert (lab.lesson["path"], lab.lesson["type"]) == ("notebooks/00-start-here.ipynb", "notebook")
    assert lab.exit_code == 0


def test_a_second_start_installs_nothing(first_start: tuple[Clone, Lab], tmp_path: Path) -> None:
    clone, _ = first_start
    lab = start_lab(clone, tmp_path / "second.log")
    assert "Installing" not in lab.printed and "Making" not in lab.printed
    assert lab.start_page.split("?")[0].endswith("/lab/tree/notebooks/00-start-here.ipynb")


def test_the_test_command_passes_arguments_and_exit_code_on(first_start: tuple[Clone, Lab]) -> None:
    clone, _ = first_start
    passing = clone.run("test", "tests/test_samples.py", "-k", "uid", timeout=SECONDS_TO_INSTALL)
    assert (passing.returncode, passing.stderr) == (0, "")
    assert re.search(r"3 passed, \d+ deselected", passing.stdout)
    missing = clone.run("test", "tests/test_nothing.py")
    assert missing.returncode == 4
    assert "Installing" not in missing.stdout


def test_a_notebook_is_run_again_in_the_clone(first_start: tuple[Clone, Lab]) -> None:
    clone, _ = first_start
    done = clone.run("notebooks", "00")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"00-start-here: (unchanged|stored anew), [\d.]+ s\n", done.stdout)
    assert clone.run("notebooks", "nonsense").returncode == 1


def test_lessons_in_a_folder_of_ones_own_stay_ones_own(first_start: tuple[Clone, Lab], tmp_path: Path) -> None:
    clone, _ = first_start
    own = tmp_path / "my lessons"
    lab = start_lab(clone, tmp_path / "one.log", "start", str(own), lesson="00-start-here.ipynb")
    assert "files were copied to" in lab.printed and lab.lesson["path"] == "00-start-here.ipynb"
    assert lab.start_page.split("?")[0].endswith("/lab/tree/00-start-here.ipynb")
    (own / "01-connect.ipynb").write_text("my notes")
    (own / "05-delete.ipynb").unlink()
    lab = start_lab(clone, tmp_path / "two.log", "start", str(own), lesson="05-delete.ipynb")
    assert "1 files were copied" in lab.printed and "1 that differ" in lab.printed
    assert (own / "01-connect.ipynb").read_text() == "my notes" and (own / "05-delete.ipynb").is_file()


def test_a_copied_lesson_finds_the_helpers(first_start: tuple[Clone, Lab], tmp_path: Path) -> None:
    clone, _ = first_start
    run_of(clone.folder).copy_lessons(tmp_path / "own")
    python = clone.folder / ".venv" / "bin" / "python"
    done = subprocess.run(
        [python, "-c", "import helpers; print(helpers.__file__)"], cwd=tmp_path / "own", capture_output=True, text=True
    )
    assert done.stdout.strip() == str(clone.folder / "helpers" / "__init__.py"), done.stderr


@pytest.mark.parametrize(("arguments", "words"), [([], "Which folder"), (["notebooks"], "outside the course's own")])
def test_start_needs_a_folder_outside(clone: Clone, arguments: list[str], words: str) -> None:
    done = clone.run("start", *arguments)
    assert done.returncode == 1 and words in one_paragraph(done)


def test_the_doctor_examines_the_clone(first_start: tuple[Clone, Lab]) -> None:
    done = first_start[0].run("doctor")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"^✓ packages: \d+ as locked$", done.stdout, re.MULTILINE) and "All is well." in done.stdout


def test_the_doctor_says_what_is_missing(clone: Clone) -> None:
    done = clone.run("doctor")
    assert done.returncode == 1 and "run.py lab" in one_paragraph(done)


def test_the_emulator_starts_from_the_clone_and_stops(first_start: tuple[Clone, Lab], tmp_path: Path) -> None:
    clone, _ = first_start
    log = tmp_path / "emulator.log"
    server = clone.start("emulator", "--port", "0", log=log)
    end = time.monotonic() + 60
    while "ready at" not in log.read_text() and time.monotonic() < end and server.poll() is None:
        time.sleep(0.1)
    server.terminate()
    assert server.wait(30) == 0
    assert re.fullmatch(r"DICOM service emulator ready at http://127\.0\.0\.1:\d+\n", log.read_text())


# When something is missing


def one_paragraph(done: subprocess.CompletedProcess[str]) -> str:
    """What is said on stderr, which is one paragraph and no traceback."""
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    message = done.stderr.strip()
    assert message and "\n\n" not in message
    return " ".join(message.split())


def test_an_old_python_gets_far_enough_to_be_told() -> None:
    ast.parse(Path(run.__file__).read_text("utf-8"), feature_version=(3, 8))
    with pytest.raises(run.Stop, match=r"needs Python 3\.11 or later, and this is Python 3\.8\..* run\.py"):
        run.check_python((3, 8, 18))


def test_a_newer_python_is_named_when_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "runs", lambda name: name == "python3.12")
    monkeypatch.setattr(sys, "argv", ["run.py", "test", "-q"])
    with pytest.raises(run.Stop, match=r"so type: python3\.12 run\.py test -q$"):
        run.check_python((3, 10, 13))
    monkeypatch.setattr(run, "runs", lambda name: False)
    with pytest.raises(run.Stop, match=r"sudo apt-get install python3 .* python3\.13 run\.py test -q$"):
        run.check_python((3, 10, 13))


def test_this_python_is_new_enough() -> None:
    run.check_python()
    run.check_python((3, 11, 0))


@pytest.mark.parametrize("gone", ["venv", "ensurepip"])
def test_a_python_without_venv_is_told_apart(gone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run.check_venv_module()
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == gone else found(name))
    with pytest.raises(run.Stop, match="sudo apt-get install python3-venv"):
        run.check_venv_module()


def test_without_a_network_the_message_says_so(clone: Clone) -> None:
    done = clone.run(
        "lab",
        PATH="/usr/bin:/bin",  # pip's way, also where there is an uv
        PIP_CONFIG_FILE=os.devnull,
        PIP_INDEX_URL=f"http://127.0.0.1:{free_port()}/simple",
        PIP_FIND_LINKS="",
        PIP_NO_CACHE_DIR="1",
        PIP_RETRIES="1",
    )
    assert "the package registry does not answer; trying again" in done.stdout
    message = one_paragraph(done)
    assert message.startswith("The package registry cannot be reached. Is this machine online?")
    assert message.endswith("run.py lab")


FAKE_UV = """#!/bin/sh
echo "uv $*" >> "$(dirname "$0")/calls"
case "$1" in
    venv) mkdir -p "$4/bin"; ln -s "$3" "$4/bin/python" ;;
    pip) {answer} ;;
esac
"""


def with_uv(clone: Clone, answer: str) -> Path:
    """Puts an uv on the clone's PATH that does as it is told; returns the file that lists its calls."""
    programs = clone.folder.parent / "programs"
    programs.mkdir()
    (programs / "uv").write_text(FAKE_UV.replace("{answer}", answer))
    (programs / "uv").chmod(0o755)
    clone.environment["PATH"] = f"{programs}{os.pathsep}{clone.environment['PATH']}"
    return programs / "calls"


def test_progress_counts_a_package_that_two_locks_name_once() -> None:
    named = {name for lock in run.FOR_TESTS for name, _ in PACKAGE.findall((run.ROOT / lock).read_text("utf-8"))}
    assert run.packages_in(run.FOR_TESTS) == len(named)


def test_uv_is_used_when_it_is_there_and_checks_hashes(clone: Clone) -> None:
    calls = with_uv(clone, "exit 0")
    clone.run("emulator", "--help")
    make, install = calls.read_text().splitlines()
    assert make == f"uv venv --python {PYTHON} {clone.folder}/.venv"
    assert "--require-hashes" in install and install.endswith(f"--requirement {clone.folder}/requirements.txt")
    clone.run("emulator", "--help")
    assert len(calls.read_text().splitlines()) == 2, "the second start should install nothing"
    (clone.folder / "requirements.txt").write_text("# another lock\n")
    clone.run("emulator", "--help")
    assert len(calls.read_text().splitlines()) == 3, "another lock should be installed, into the same .venv"


def test_a_full_disk_is_told_and_the_next_start_begins_anew(clone: Clone) -> None:
    calls = with_uv(clone, 'echo "error: No space left on device (os error 28)" >&2; exit 2')
    assert one_paragraph(clone.run("lab")).startswith("The disk is full.")
    done = clone.run("lab")
    assert "half made" in done.stdout
    assert [call.split()[1] for call in calls.read_text().splitlines()] == ["venv", "pip", "venv", "pip"]


def test_ctrl_c_during_the_installation_is_clean(clone: Clone, tmp_path: Path) -> None:
    calls = with_uv(clone, "sleep 60")
    log = tmp_path / "log"
    process = clone.start("lab", log=log)
    while not (calls.exists() and "uv pip" in calls.read_text()):
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(10) == 130
    assert log.read_text().endswith("\nStopped. To start again type: python3 run.py lab\n")
    assert "Traceback" not in log.read_text()


# The half-made .venv: rebuilt, whatever is wrong with it


@pytest.fixture
def copied_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The run.py of an otherwise empty folder, which notes what it would install instead of installing it."""
    for name in ("requirements.txt", "tests/requirements.txt", "run.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes((run.ROOT / name).read_bytes())
    module = run_of(tmp_path)
    module.installed = []

    def install(locks: list[str], fresh: bool) -> None:
        module.installed.append((locks, fresh))
        if fresh:
            interpreter_in(module)

    monkeypatch.setattr(module, "install", install)
    return module


def interpreter_in(module: ModuleType) -> None:
    module.venv_python().parent.mkdir(parents=True)
    module.venv_python().symlink_to(PYTHON)


def empty_folder(module: ModuleType) -> None:
    module.VENV.mkdir()


def a_file(module: ModuleType) -> None:
    module.VENV.write_text("")


def dangling_interpreter(module: ModuleType) -> None:
    module.venv_python().parent.mkdir(parents=True)
    module.venv_python().symlink_to("/nowhere/python3")


def broken_interpreter(module: ModuleType) -> None:
    module.venv_python().parent.mkdir(parents=True)
    module.venv_python().write_text("#!/bin/sh\nexit 1\n")
    module.venv_python().chmod(0o755)


def unfinished(module: ModuleType) -> None:
    interpreter_in(module)
    module.write_stamp(None, {})


def of_another_python(module: ModuleType) -> None:
    interpreter_in(module)
    module.write_stamp("3.11.0 (of before the update)", {lock: module.digest(lock) for lock in module.FOR_TESTS})


@pytest.mark.parametrize(
    "half_made", [empty_folder, a_file, dangling_interpreter, broken_interpreter, unfinished, of_another_python]
)
def test_a_half_made_venv_is_made_anew(
    half_made: Any, copied_run: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    half_made(copied_run)
    assert copied_run.prepare(copied_run.FOR_LESSONS) == copied_run.venv_python()
    assert "It is made anew" in capsys.readouterr().out
    assert copied_run.installed == [(["requirements.txt"], True)]


def test_a_venv_that_somebody_made_by_hand_is_kept_and_filled(copied_run: ModuleType) -> None:
    interpreter_in(copied_run)
    copied_run.prepare(copied_run.FOR_LESSONS)
    assert copied_run.installed == [(["requirements.txt"], False)]


def test_the_tests_add_only_what_is_missing(copied_run: ModuleType) -> None:
    copied_run.prepare(copied_run.FOR_LESSONS)
    copied_run.prepare(copied_run.FOR_TESTS)
    copied_run.prepare(copied_run.FOR_LESSONS)
    assert copied_run.installed == [(["requirements.txt"], True), (["tests/requirements.txt"], False)]


# What is said


@pytest.mark.parametrize(
    ("output", "begins"),
    [
        ("OSError: [Errno 28] No space left on device", "The disk is full."),
        (
            "ERROR: Could not install packages due to an OSError: [Errno 13] Permission denied: 'x'",
            "This folder cannot be",
        ),
        ("error: failed to create directory: Read-only file system (os error 30)", "This folder cannot be"),
        (
            "Retrying (Retry(total=0 ... Failed to establish a new connection: [Errno 111]",
            "The package registry cannot",
        ),
        (
            "error: Failed to fetch: `https://x/`\n  Caused by: dns error: failed to lookup",
            "The package registry cannot",
        ),
        ("SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED]", "The package registry shows"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.", "A package that arrived is not"),
        ("ERROR: No matching distribution found for numpy==2.4.6", "The package registry does not have"),
        ("ERROR: something else\nentirely", "The installation ended with an error: ERROR: something else entirely"),
    ],
)
def test_what_an_installer_says_is_explained_with_a_command(output: str, begins: str) -> None:
    message = run.explain(output)
    assert message.startswith(begins)
    assert "run.py" in message and "\n" not in message


@pytest.mark.parametrize(
    ("code", "begins"),
    [(errno.EROFS, "This folder"), (errno.EACCES, "This folder"), (errno.ENOSPC, "The disk is full")],
)
def test_a_folder_that_cannot_be_used_is_told(
    code: int, begins: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(locks: list[str]) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(run, "prepare", fail)
    assert run.main(["lab"]) == 1
    assert capsys.readouterr().err.strip().startswith(begins)


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main(["--help"]) == 0
    printed = capsys.readouterr().out
    assert all(f"python3 run.py {command}" in printed for command in run.COMMANDS)
    assert run.main([]) == 2
    assert run.main(["labb"]) == 1
    assert "There is no command 'labb'" in capsys.readouterr().err


def test_bench_lists_what_can_be_measured(capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main(["bench"]) == 2
    assert "  multipart  Multipart bodies: the helpers beside" in capsys.readouterr().out
    assert run.main(["bench", "--help"]) == 0
    assert run.main(["bench", "nothing"]) == 1
    assert "There is no benchmark 'nothing'. There are" in capsys.readouterr().err


def test_bench_hands_its_options_over(monkeypatch: pytest.MonkeyPatch) -> None:
    commands = []
    monkeypatch.setattr(run, "prepare", lambda locks: Path("python"))
    monkeypatch.setattr(run, "hand_over", lambda command, env: commands.append((command, env)) or 0)
    assert run.main(["bench", "multipart", "--quick"]) == 0
    ((command, env),) = commands
    assert command == ["python", "-m", "benchmarks.multipart", "--quick"]
    for name in ("server", "times", "room"):
        help = [sys.executable, "-m", f"benchmarks.{name}", "--help"]
        assert subprocess.run(help, cwd=run.ROOT, env=env, capture_output=True).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "password", "words"),
    [
        ([], "eight-or-more", "Which folder shall hold what the learners keep?"),
        (["notebooks"], "eight-or-more", "outside the course's own"),
        (["../room"], "short", "export WORKSHOP_PASSWORD"),
    ],
)
def test_hub_needs_a_folder_and_a_password(clone: Clone, arguments: list[str], password: str, words: str) -> None:
    done = clone.run("hub", *arguments, WORKSHOP_PASSWORD=password)
    assert done.returncode == 1 and words in one_paragraph(done)


def test_hub_names_what_it_lacks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(run, "HUB", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(run.Stop, match="apt-get install nodejs npm"):
        run.install_hub_proxy()


# The environment of what is started


def test_a_learners_environment_leads_to_an_emulator_of_the_kernels_own(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DICOM_SERVICE_URL", "IDENTITY_ENDPOINT", "MPLBACKEND", "PYTHONPATH", "DICOM_EMULATOR_PORT"):
        monkeypatch.setenv(name, "x")
    assert {"DICOM_SERVICE_URL", "DICOM_EMULATOR_PORT"} <= set(run.environment())
    assert not {"MPLBACKEND", "PYTHONPATH"} & set(run.environment())
    left = set(run.learner_environment())
    assert not {"DICOM_SERVICE_URL", "IDENTITY_ENDPOINT", "MPLBACKEND", "DICOM_EMULATOR_PORT"} & left
    assert run.learner_environment()["DICOM_LESSON_TIMES"] == "hidden"
    monkeypatch.delenv("DICOM_LESSON_TIMES", raising=False)
    assert "DICOM_LESSON_TIMES" not in run.environment()  # JupyterLab shows a learner how long replies took


def test_this_machine_is_reached_past_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("NO_PROXY", "intranet.example")
    assert run.environment()["no_proxy"] == run.environment()["NO_PROXY"] == "intranet.example,127.0.0.1,localhost"
