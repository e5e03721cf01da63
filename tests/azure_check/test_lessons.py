"""A lesson that is recorded: everything is seen, nothing secret is kept, and nothing strange is changed."""

from pathlib import Path

import pytest

from azure_check.lessons import run_lesson
from azure_check.touched import EVERYTHING, touched
from dicom_emulator import RunningServer
from helpers.lesson import TUTORIAL_STUDY
from helpers.multipart import encode_multipart_related
from helpers.session import SAMPLE_DCMS
from run import learner_environment
from tests.forbidden import TOKEN


def test_every_request_of_a_lesson_is_seen(emulator: RunningServer, tmp_path: Path) -> None:
    """The emulator has counted them, too. Lesson 06 sends bytes by hand, in every way that requests knows."""
    emulator.control.clear_requests()
    done = run_lesson(
        "06-bytes-by-hand", emulator.url, {**learner_environment(), **emulator.environment}, None, tmp_path
    )
    arrived = [
        (each["method"], each["path"], each["status"])
        for each in emulator.control.requests()
        if not each["path"].startswith("/_emulator/")
    ]
    assert [(each.method, each.path, each.status) for each in done.exchanges] == arrived
    assert len(arrived) > 50
    assert done.failures() == []
    assert done.touched == {f"studies/{TUTORIAL_STUDY}", "studies/2.25.6060"}
    record = (tmp_path / "06-bytes-by-hand.jsonl").read_text("utf-8")
    assert not TOKEN.search(record) and '"Authorization": "\\u2026"' in record


def test_what_is_not_in_the_plan_is_stopped_before_it_leaves(emulator: RunningServer, tmp_path: Path) -> None:
    environment = {**learner_environment(), **emulator.environment}
    emulator.control.clear_requests()
    done = run_lesson("01-connect", emulator.url, environment, {"studies/2.25.6060"}, tmp_path)
    assert done.failures()[0][0] == 1 and "NotInThePlan" in done.failures()[0][1]
    assert f"DELETE stopped, since it could change studies/{TUTORIAL_STUDY}" in done.left_out[0]
    assert {each["method"] for each in emulator.control.requests()} <= {"GET"}
    assert done.touched == set()


BODY, CONTENT_TYPE = encode_multipart_related(sorted(SAMPLE_DCMS.glob("*.dcm")))
DICOM = (SAMPLE_DCMS / "red-triangle.dcm").read_bytes()
TUTORIAL = {f"studies/{TUTORIAL_STUDY}"}


@pytest.mark.parametrize(
    ("method", "path", "content_type", "body", "expected"),
    [
        ("GET", "/studies/1.2", "", b"", set()),
        ("DELETE", "/studies/1.2/series/3.4", "", b"", {"studies/1.2"}),
        ("POST", "/studies", CONTENT_TYPE, BODY, TUTORIAL),
        ("PUT", "/studies", "application/dicom", DICOM, TUTORIAL),
        ("POST", "/studies/1.2", "application/dicom", DICOM, {"studies/1.2"} | TUTORIAL),
        ("POST", "/studies", CONTENT_TYPE, BODY[:200], set()),
        ("POST", "/studies", "text/plain", b"what is this?", set()),
        ("POST", "/studies/$bulkUpdate", "", b'{"studyInstanceUids": ["1.2", "3.4"]}', {"studies/1.2", "studies/3.4"}),
        ("POST", "/studies/%24bulkUpdate", "", b'{"studyInstanceUids": "1.2"}', {"studies/1.2"}),
        ("POST", "/export", "", b'{"source": {"settings": {"values": ["1.2/3"]}}}', {"studies/1.2"}),
        ("POST", "/export", "", b'{"destination": {}}', {EVERYTHING}),
        (
            "POST",
            "/extendedquerytags",
            "",
            b'[{"Path": "A"}, {"path": "B"}, 3]',
            {"extendedquerytags/A", "extendedquerytags/B"},
        ),
        ("PATCH", "/extendedquerytags/A", "", b"{}", {"extendedquerytags/A"}),
        ("POST", "/workitems?1.2.3", "", b"[{}]", set()),
    ],
)
def test_what_a_request_may_change(method: str, path: str, content_type: str, body: bytes, expected: set[str]) -> None:
    for version in ("v1", "v2"):
        url = f"https://name.example/{version}{path}"
        assert touched(method, url, {"Content-Type": content_type}, body) == expected
