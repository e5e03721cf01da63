"""The check from its command line to its report: against an emulator, and one that deviates."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from azure_check.__main__ import look_and_ask, parsed
from azure_check.lessons import LESSONS, Run
from azure_check.probes import PROBES, STUDY_PATH
from azure_check.service import NotOurs, Plan, Service
from dicom_emulator import RunningServer
from helpers.multipart import encode_multipart_related
from helpers.service import REPOSITORY
from helpers.session import SAMPLE_DCMS
from tests.azure_check.conftest import Checked
from tests.azure_check.proxy import TOKENS, Reply, proxy
from tests.forbidden import TOKEN

Check = Callable[..., Checked]
EMPTY = 204  # a search for studies finds none


def studies_on(service: Service) -> int:
    return service.client.get(f"{service.base_url}/studies", headers={"Accept": "application/dicom+json"}).status_code


def test_the_lessons_are_those_that_run_on_one_service() -> None:
    assert [name[:2] for name in LESSONS] == [f"{number:02}" for number in range(15)]


def test_between_two_emulators_nothing_differs(emulator: RunningServer, service: Service, check: Check) -> None:
    """With work items under new UIDs, operations that are polled, tags, and the questions beyond the lessons."""
    done = check(emulator.environment, "--yes", "--lessons", "12", "13")
    report = done.report
    assert report["differences"] == []
    assert [(each["lesson"][:2], each["result"], each["cells"]) for each in report["lessons"]] == [
        ("12", "passed", []),
        ("13", "passed", []),
    ]
    assert [each for each in report["probes"] if not each["same"]] == []
    assert len(report["probes"]) == len(PROBES)
    assert [each for each in report["probes"] if each["emulator"].startswith("could not be asked")] == []
    assert (done.code, report["remains"], report["unfinished"]) == (0, [], "")
    assert studies_on(service) == EMPTY
    assert "lesson 1 of 2 on the service: 12-extended-query-tags" in done.output
    status = json.loads((done.folder / "status.json").read_text("utf-8"))
    assert status["lessons"]["13-worklist"]["result"] == "passed"


NOT_ACCEPTABLE = "That is not acceptable."


def deviating(reply: Reply) -> None:
    """A service that is like the emulator, but for five things."""
    if "ETag" in reply.headers:
        reply.headers["ETag"] = f'"{reply.headers["ETag"]}"'
    if reply.path.endswith("/metadata") and reply.status == 200:
        rows = json.loads(reply.body)
        rows[0]["00100010"] = {"vr": "PN", "Value": [{"Alphabetic": "Somebody^Else"}]}
        reply.body = json.dumps(rows).encode()
    if reply.status == 406:
        reply.body = NOT_ACCEPTABLE.encode()
        reply.headers["Content-Type"] = "text/plain; charset=utf-8"
    if reply.path.startswith("/v3/"):
        reply.status = 404
    if reply.path.endswith("/frames/1") and reply.status == 200:
        reply.body = reply.body[:-200] + b"!" + reply.body[-199:]


@pytest.fixture
def other_service(emulator: RunningServer) -> Iterator[dict[str, str]]:
    """The environment of somebody who has signed in to a service that deviates, and is no emulator."""
    with proxy(emulator.url, deviating) as url:
        yield {**emulator.environment, "DICOM_SERVICE_URL": url, "IDENTITY_ENDPOINT": url + TOKENS}


def test_each_deviation_is_in_the_report(other_service: dict[str, str], service: Service, check: Check) -> None:
    done = check(other_service, "--yes", "--lessons", "01", "03")
    assert done.code == 1
    found = done.differences
    assert ("header ETag", "<n>", '"<n>"') in found
    assert ("body: 00100010 PatientName > Alphabetic", "Anony Mous", "Somebody^Else") in found
    assert ("body: text", "The request headers are not acceptable", NOT_ACCEPTABLE) in found
    assert any(what == "body: a part" for what, _, _ in found)
    assert {what for what, _, _ in found} <= {
        "header ETag", "body: 00100010 PatientName > Alphabetic", "body: text", "body: a part", "body"
    }  # fmt: skip
    unequal = {each["question"] for each in done.report["probes"] if not each["same"]}
    assert {"What does an unknown version say?", "Are there quotes, and does it match with and without?"} <= unequal
    assert studies_on(service) == EMPTY

    # The reader of lesson 01 is a role of the emulator's own: left out, and no failure.
    assert done.report["lessons"][0]["result"] == "passed"
    assert done.report["left_out"] == ["01, cell 12: it signs in as another role, which only an emulator lets you do"]
    # Pages for people hold the same.
    assert all("Somebody^Else" in (done.folder / name).read_text("utf-8") for name in ("report.html", "report.md"))

    # And nobody learns from them who was asked.
    assert not TOKEN.search(done.files) and "set-cookie" not in done.files.lower()
    assert other_service["DICOM_SERVICE_URL"].removeprefix("http://") not in done.files
    assert str(REPOSITORY) not in done.files


def test_ctrl_c_deletes_what_was_stored_and_writes_the_report_so_far(
    emulator: RunningServer, service: Service, tmp_path: Path
) -> None:
    out = tmp_path / "report"
    command = [sys.executable, "-u", "-m", "azure_check", "--yes", "--out", out, "--lessons", "01", "06"]
    environment = {**os.environ, **emulator.environment}
    with subprocess.Popen(
        command, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        said = ""
        while not said.endswith("on the service: 06"):
            said += process.stdout.read(1)
        while not any(each["method"] == "POST" for each in emulator.control.requests()[-5:]):
            time.sleep(0.05)
        assert studies_on(service) == 200
        process.send_signal(signal.SIGINT)
        while "Deleting what the lessons left there" not in said:
            said += process.stdout.read(1)
        process.send_signal(signal.SIGINT)  # somebody who cannot wait
        said += process.stdout.read()
    assert process.returncode == 130
    assert "Traceback" not in said
    report = json.loads((out / "report.json").read_text("utf-8"))
    assert report["unfinished"] == "stopped by Ctrl-C"
    assert [each["lesson"] for each in report["lessons"]] == ["01-connect"]
    assert studies_on(service) == EMPTY


def store_triangle(service: Service) -> None:
    body, content_type = encode_multipart_related([SAMPLE_DCMS / "red-triangle.dcm"])
    headers = {"Content-Type": content_type, "Accept": "application/dicom+json"}
    assert service.client.post(f"{service.base_url}/studies", data=body, headers=headers).status_code == 200


PLAN = Plan([Run("", touched={STUDY_PATH, "studies/1.2.3", "extendedquerytags/Occupation"})])


def test_what_is_there_already_is_left_alone(emulator: RunningServer, service: Service) -> None:
    store_triangle(service)
    emulator.control.clear_requests()
    with pytest.raises(NotOurs, match="has 1 of the studies and tags that .* Nothing was changed.* --replace"):
        look_and_ask(service, PLAN, parsed(["--yes"]))
    assert {each["method"] for each in emulator.control.requests()} == {"GET"}
    assert look_and_ask(service, PLAN, parsed(["--yes", "--replace"]))
    assert studies_on(service) == EMPTY


def test_a_tag_that_is_there_already_is_left_alone(emulator: RunningServer, service: Service) -> None:
    entries = [{"Path": "Occupation", "Level": "Study"}]
    assert service.client.post(f"{service.base_url}/extendedquerytags", json=entries).status_code == 202
    with pytest.raises(NotOurs, match="extendedquerytags/Occupation"):
        look_and_ask(service, PLAN, parsed(["--yes"]))


def test_other_studies_forbid_it_unless_allowed(emulator: RunningServer, service: Service) -> None:
    emulator.control.seed()
    with pytest.raises(NotOurs, match="holds other studies than the course's.* --not-empty"):
        look_and_ask(service, PLAN, parsed(["--yes"]))
    assert look_and_ask(service, PLAN, parsed(["--yes", "--not-empty"])) is False


def test_without_a_terminal_somebody_has_to_have_said_yes(
    service: Service, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    with pytest.raises(NotOurs, match="Add --yes"):
        look_and_ask(service, PLAN, parsed([]))
    said = capsys.readouterr().out
    assert "stored, changed, and deleted again: 2 studies" in said
    assert "added and deleted again: the extended query tags Occupation" in said


@pytest.mark.parametrize(("answer", "agrees"), [("y", True), ("yes", True), ("", False), ("n", False)])
def test_only_yes_is_yes(service: Service, answer: str, agrees: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda question: answer)
    if agrees:
        assert look_and_ask(service, PLAN, parsed([]))
    else:
        with pytest.raises(NotOurs, match="You said no. Nothing was changed."):
            look_and_ask(service, PLAN, parsed([]))


def test_other_peoples_studies_are_neither_changed_nor_told_of(
    emulator: RunningServer, service: Service, check: Check
) -> None:
    emulator.control.seed()  # the synthetic set
    before = count(emulator)
    done = check(emulator.environment, "--yes", "--lessons", "04", "--no-probes", "--not-empty", "--show-host")
    assert done.report["lessons"][0]["others"] > 0
    names = {name.split("^")[0] for name in patients(service)}
    assert names and not [name for name in names if name in done.files]
    assert count(emulator) == before
    assert emulator.url in (done.folder / "report.md").read_text("utf-8")


def count(emulator: RunningServer) -> dict[str, int]:
    kept = requests.get(f"{emulator.url}/_emulator/summary", timeout=30).json()
    return {name: number for name, number in kept.items() if name != "change"}


def patients(service: Service) -> list[str]:
    rows = service.client.get(f"{service.base_url}/studies", headers={"Accept": "application/dicom+json"}).json()
    return [row["00100010"]["Value"][0]["Alphabetic"] for row in rows if row.get("00100010", {}).get("Value")]


@pytest.mark.parametrize("arguments", [["--lessons", "15"], ["--nonsense"]])
def test_wrong_options_are_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parsed(arguments)
    assert caught.value.code == 2
