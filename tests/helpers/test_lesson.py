"""start_lesson against the real emulator: in this process, in others, with and without DICOM_SERVICE_URL."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from azure.identity import DefaultAzureCredential

import helpers
from helpers import service
from helpers.lesson import LessonError, NotADicomService, RefusedSignIn, WrongRole, start_lesson
from helpers.multipart import encode_multipart_related, parts_of
from helpers.service import EmulatorProcess
from tests.helpers.conftest import Reply, ScriptedServer

ROOT = Path(__file__).parents[2]
NOTEBOOKS = ROOT / "notebooks"
STUDY = "1.2.826.0.1.3680043.8.498.13230779778012324449356534479549187420"
DICOM_JSON = {"Accept": "application/dicom+json"}
ALL_PARTS = {"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'}
SAMPLES = ["green-square", "red-triangle", "blue-circle"]


@pytest.fixture(autouse=True)
def clean(environment: pytest.MonkeyPatch) -> None:
    pass


@pytest.fixture(scope="module")
def emulator() -> Iterator[EmulatorProcess]:
    """An emulator that somebody else has started, as `python -m dicom_emulator` in a terminal."""
    emulator = EmulatorProcess()
    yield emulator
    emulator.stop()


@pytest.fixture
def stand_alone(emulator: EmulatorProcess, environment: pytest.MonkeyPatch) -> EmulatorProcess:
    """The environment that `python -m dicom_emulator --print-env` prints."""
    environment.setenv("DICOM_SERVICE_URL", emulator.url)
    environment.setenv("IDENTITY_ENDPOINT", f"{emulator.url}/_emulator/identity/token")
    environment.setenv("IDENTITY_HEADER", "owner")
    environment.setenv("AZURE_TOKEN_CREDENTIALS", "ManagedIdentityCredential")
    return emulator


def comments(lesson: helpers.Lesson) -> list[str]:
    """The ImageComments of what is stored in the tutorial's study, oldest first."""
    response = lesson.client.get(f"{lesson.base_url}/studies/{STUDY}/metadata", headers=DICOM_JSON)
    return [instance["00204000"]["Value"][0] for instance in response.json()] if response.ok else []


# ------------------------------------------------------------------------------------------------ on its own emulator


def test_a_lesson_begins(environment: pytest.MonkeyPatch) -> None:
    lesson = start_lesson("03", instances=SAMPLES)
    assert repr(lesson) == (
        "Lesson 03 · emulator on this machine · API v2 · signed in with DefaultAzureCredential · "
        "stored: green-square, red-triangle, blue-circle"
    )
    assert isinstance(lesson.credential, DefaultAzureCredential) and isinstance(lesson.client, requests.Session)
    assert lesson.base_url == f"{lesson.service_url}/v2"
    assert comments(lesson) == ["Fake DICOM - Green Square", "Fake DICOM - Red Triangle", "Fake DICOM - Blue Circle"]
    parts = parts_of(lesson.client.get(f"{lesson.base_url}/studies/{STUDY}", headers=ALL_PARTS))
    assert [part.content for part in parts] == [(lesson.sample_dcms / f"{name}.dcm").read_bytes() for name in SAMPLES]


def test_the_next_lesson_uses_the_same_emulator_and_its_own_state() -> None:
    first = start_lesson("03", instances=SAMPLES)
    second = start_lesson("04", instances=["blue-circle"])
    assert second.service_url == first.service_url
    assert comments(second) == ["Fake DICOM - Blue Circle"]
    empty = start_lesson("01")
    assert comments(empty) == [] and repr(empty).endswith("stored: nothing")


def test_other_studies_are_left_alone() -> None:
    lesson = start_lesson("03", instances=["red-triangle"])
    other = STUDY[:-1] + "1"
    changed = (lesson.sample_dcms / "red-triangle.dcm").read_bytes().replace(STUDY.encode(), other.encode())
    body, content_type = encode_multipart_related([changed])
    stored = lesson.client.post(
        f"{lesson.base_url}/studies/{other}", data=body, headers={**DICOM_JSON, "Content-Type": content_type}
    )
    assert stored.status_code == 200
    start_lesson("03")
    assert lesson.client.delete(f"{lesson.base_url}/studies/{other}").status_code == 204


def test_an_emulator_that_has_ended_is_replaced() -> None:
    first = start_lesson("03")
    assert service._emulator
    service._emulator.stop()
    with pytest.raises(helpers.ServiceUnreachable, match="Run the first cell of the lesson again"):
        first.client.get(f"{first.base_url}/changefeed")
    assert start_lesson("03").client.get(f"{start_lesson('03').base_url}/changefeed").status_code == 200


def test_a_sample_that_is_none() -> None:
    with pytest.raises(LessonError, match="no sample `red-circle`.*blue-circle, green-square, red-triangle"):
        start_lesson("03", instances=["red-circle"])


def test_a_reader_may_look_and_not_delete() -> None:
    lesson = start_lesson("01", instances=["blue-circle"])
    reader = lesson.client_as("reader")
    assert reader.get(f"{lesson.base_url}/changefeed").status_code == 200
    assert reader.delete(f"{lesson.base_url}/studies/{STUDY}").status_code == 403
    assert os.environ["IDENTITY_HEADER"] == "owner"
    assert lesson.client.delete(f"{lesson.base_url}/studies/{STUDY}").status_code == 204


def test_a_role_that_the_emulator_does_not_know() -> None:
    with pytest.raises(helpers.NotSignedIn, match="`owner` or `reader`"):
        start_lesson("01").client_as("king").get("http://127.0.0.1:1")


def test_without_a_token_the_emulator_refuses() -> None:
    lesson = start_lesson("01")
    assert requests.get(f"{lesson.base_url}/changefeed", timeout=10).status_code == 401


def test_a_proxy_is_not_asked(environment: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        environment.setenv(name, "http://127.0.0.1:9")
    assert comments(start_lesson("03", instances=["blue-circle"])) == ["Fake DICOM - Blue Circle"]


def test_uploads_are_allowed_in_words() -> None:
    lesson = start_lesson("02", allow=" test images I made myself ")
    assert repr(lesson).endswith(" · uploads allowed: test images I made myself")
    assert lesson.client_as("reader").allow == lesson.client.allow == "test images I made myself"
    for nothing in ("", " ", True):
        with pytest.raises(LessonError, match="say in words"):
            lesson.allow_upload(nothing)  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------------------ on a named service


def test_a_named_service_looks_the_same(stand_alone: EmulatorProcess, capsys: pytest.CaptureFixture[str]) -> None:
    named = tour(capsys)
    os.environ.pop("DICOM_SERVICE_URL")
    assert tour(capsys) == named
    assert service._emulator and service._emulator.url != stand_alone.url


def tour(capsys: pytest.CaptureFixture[str]) -> str:
    """What a lesson prints that stores, retrieves, searches, fails and deletes."""
    lesson = start_lesson("03", instances=["red-triangle"])
    client, studies = lesson.client, f"{lesson.base_url}/studies"
    print(lesson)
    body, content_type = encode_multipart_related([lesson.sample_dcms / f"{name}.dcm" for name in SAMPLES])
    helpers.show_exchange(client.post(studies, data=body, headers={**DICOM_JSON, "Content-Type": content_type}))
    helpers.show_exchange(client.get(f"{studies}/{STUDY}", headers=ALL_PARTS))
    helpers.show_exchange(client.get(f"{studies}/{STUDY}/metadata", headers=DICOM_JSON))
    helpers.show_exchange(client.get(f"{studies}?PatientName=anony&fuzzymatching=true", headers=DICOM_JSON))
    helpers.show_exchange(client.get(f"{studies}/abc", headers=ALL_PARTS))
    helpers.show_exchange(requests.get(f"{lesson.base_url}/changefeed", timeout=10))
    helpers.show_exchange(lesson.client_as("reader").delete(f"{studies}/{STUDY}"))
    helpers.show_exchange(client.get(f"{lesson.service_url}/v3/studies"))
    helpers.show_exchange(client.delete(f"{studies}/{STUDY}"))
    return capsys.readouterr().out


def test_a_class_shares_a_service_and_has_partitions(environment: pytest.MonkeyPatch) -> None:
    emulator = EmulatorProcess("--partitions")
    try:
        environment.setenv("DICOM_SERVICE_URL", emulator.url)
        environment.setenv("IDENTITY_ENDPOINT", f"{emulator.url}/_emulator/identity/token")
        environment.setenv("IDENTITY_HEADER", "owner")
        environment.setenv("AZURE_TOKEN_CREDENTIALS", "ManagedIdentityCredential")
        lessons = []
        for learner, instances in (("anna", SAMPLES), ("ben", ["red-triangle"]), ("anna", ["blue-circle"])):
            environment.setenv("DICOM_PARTITION", learner)
            lessons.append(helpers.start_lesson("02", instances))
        first, ben, again = lessons
        assert ben.base_url == f"{emulator.url}/v2/partitions/ben"
        assert "· partition ben ·" in repr(ben)
        assert [len(comments(lesson)) for lesson in (first, ben, again)] == [1, 1, 1]
        assert comments(ben) != comments(again) == comments(first)
    finally:
        emulator.stop()


def test_a_service_without_partitions_says_so(stand_alone: EmulatorProcess, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("DICOM_PARTITION", "anna")
    with pytest.raises(helpers.HelperError, match="the partition anna .* 400 .*Data partitions feature is disabled"):
        helpers.start_lesson("02")


def test_an_emulator_of_ones_own_has_no_partitions(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("DICOM_PARTITION", "anna")
    assert helpers.start_lesson("02").partition == ""


def test_a_reader_cannot_begin(stand_alone: EmulatorProcess, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("IDENTITY_HEADER", "reader")
    with pytest.raises(WrongRole, match="may not delete the tutorial's study.*DICOM Data Owner"):
        start_lesson("03", instances=["red-triangle"])


def test_a_token_that_the_service_does_not_take(
    stand_alone: EmulatorProcess, environment: pytest.MonkeyPatch, server: ScriptedServer
) -> None:
    token = {"access_token": "forged", "expires_on": "4000000000", "resource": "x", "token_type": "Bearer"}
    server.replies = [Reply(200, {"Content-Type": "application/json"}, json.dumps(token).encode())]
    environment.setenv("IDENTITY_ENDPOINT", server.url)
    with pytest.raises(RefusedSignIn, match=r"does not take the token of DefaultAzureCredential \(401\)"):
        start_lesson("03")


def test_somebody_else_answers(
    stand_alone: EmulatorProcess, environment: pytest.MonkeyPatch, server: ScriptedServer
) -> None:
    environment.setenv("DICOM_SERVICE_URL", server.url)
    for reply, seen in (
        (Reply(200, {"Content-Type": "text/html"}, b"<html>"), "200 text/html"),
        (Reply(302, {"Location": "https://example.org"}), "302 and no content type"),
        (Reply(404, {"Content-Type": "text/plain"}), "404 text/plain"),
    ):
        server.replies = [reply]
        with pytest.raises(NotADicomService, match=f"is no DICOM service.*{seen}"):
            start_lesson("03")
    assert {request.method for request in server.received} == {"GET"}, "nothing is deleted on a stranger's server"


def test_an_unexpected_answer_is_shown(
    stand_alone: EmulatorProcess, environment: pytest.MonkeyPatch, server: ScriptedServer
) -> None:
    environment.setenv("DICOM_SERVICE_URL", server.url)
    server.replies = [Reply(204), Reply(503, {"Content-Type": "text/plain"}, b"The service is busy.")]
    with pytest.raises(LessonError, match="answered with 503 Service Unavailable: The service is busy."):
        start_lesson("03")


def test_nobody_answers(stand_alone: EmulatorProcess, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("DICOM_SERVICE_URL", "http://127.0.0.1:1")
    with pytest.raises(helpers.ServiceUnreachable, match="Is DICOM_SERVICE_URL right, and is the service running"):
        start_lesson("03")


def test_another_role_only_on_an_emulator() -> None:
    lesson = start_lesson("01")
    os.environ["IDENTITY_ENDPOINT"] = "http://169.254.169.254/identity"
    with pytest.raises(LessonError, match="DICOM Data Reader, or read on"):
        lesson.client_as("reader")


# ---------------------------------------------------------------------------------------------------- other processes


def run_in_notebooks(code: str) -> "subprocess.Popen[str]":
    """Python as a kernel has it: in the folder of the notebooks, which is first on its path."""
    code = f"import sys; sys.path.insert(0, ''); {code}"
    return subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=NOTEBOOKS,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONSAFEPATH")},
    )


STARTED = (
    "from helpers import start_lesson; from helpers import service; lesson = start_lesson('03', ['red-triangle']);"
    "print(lesson.service_url, service._emulator.process.pid, flush=True); "
)


def wait_for(what: Any, seconds: float = 10) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if what():
            return True
        time.sleep(0.02)
    return False


def answers(url: str) -> bool:
    session = requests.Session()
    session.trust_env = False
    try:
        return session.get(f"{url}/health/check", timeout=5).status_code == 200
    except requests.ConnectionError:
        return False


def test_a_new_process_begins_anew() -> None:
    for _ in range(2):
        process = run_in_notebooks(STARTED + "print(lesson)")
        out, errors = process.communicate(timeout=60)
        assert process.returncode == 0 and errors == "", errors
        url, pid = out.split()[:2]
        assert "stored: red-triangle" in out
        assert not answers(url), "the emulator has outlived its kernel"


def test_the_emulator_ends_when_its_kernel_is_killed() -> None:
    process = run_in_notebooks(STARTED + "import time; time.sleep(60)")
    url = process.stdout.readline().split()[0]
    assert answers(url)
    process.kill()
    process.wait()
    assert wait_for(lambda: not answers(url)), "the emulator still answers"


def test_the_emulator_survives_the_interrupt_button() -> None:
    code = STARTED + (
        "import time\n"
        "try:\n"
        "    print('ready to be interrupted', flush=True)\n"
        "    time.sleep(60)\n"
        "except KeyboardInterrupt: time.sleep(0.3)\n"
        "print(lesson.client.get(lesson.base_url + '/changefeed').status_code)"
    )
    process = run_in_notebooks(code)
    assert process.stdout.readline()
    assert process.stdout.readline() == "ready to be interrupted\n"
    os.killpg(process.pid, signal.SIGINT)
    out, errors = process.communicate(timeout=30)
    assert out.strip() == "200", errors


# ------------------------------------------------------------------------------------------------------ in a notebook


def run_cells(*sources: str) -> list[dict[str, Any]]:
    """The outputs of the cells, from a real kernel that stands in the folder of the notebooks."""
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    NotebookClient(
        notebook, timeout=60, kernel_name="python3", allow_errors=True, resources={"metadata": {"path": str(NOTEBOOKS)}}
    ).execute()
    return [output for cell in notebook.cells for output in cell.outputs]


def test_in_a_kernel() -> None:
    outputs = run_cells(
        "from helpers import decode_frame, show_frame, start_lesson\n"
        "from helpers.multipart import NotMultipart, iter_parts\n"
        "import helpers; print(helpers.__path__ is not None, iter_parts.__module__)",
        "lesson = start_lesson('03', instances=['red-triangle'])\nlesson",
        "response = lesson.client.get(lesson.base_url + '/changefeed')\niter_parts(response)",
        "import numpy; show_frame(numpy.zeros((4, 4), 'uint8'), title='night', alt='Nothing but black')",
    )
    imported, lesson, error, picture, facts = outputs
    assert imported["text"] == "True helpers.multipart\n"
    assert lesson["data"]["text/plain"].startswith("Lesson 03 · emulator on this machine")
    assert error["ename"] == "NotMultipart" and len(error["traceback"]) == 1, "a learner sees one sentence"
    assert re.match(r"NotMultipart: the reply has no parts: it is 200 OK, application/json\.", error["traceback"][0])
    assert picture["data"]["text/plain"] == "[picture: Nothing but black]"
    assert picture["metadata"] == {"image/png": {"alt": "Nothing but black"}}
    assert len(picture["data"]["image/png"]) > 1000
    assert facts["text"].startswith("night: 4×4 uint8, min 0, max 0") and "Figure" not in str(outputs)
