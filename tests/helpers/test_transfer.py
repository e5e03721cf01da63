"""upload_folder and download_study against a running emulator that fails on demand, and against a scripted server."""

import _thread
import csv
import json
import os
import shutil
import signal
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest
import requests

import dicom_emulator
from helpers import LessonSession, PatientDataGuard, encode_multipart_related
from helpers.auth import SCOPE, BearerAuth
from helpers.journal import Journal, NotAJournal
from helpers.retry import LONGEST_RETRY_AFTER, seconds_to_wait
from helpers.samples import make_film, make_folder, study_uids
from helpers.transfer import (
    DownloadReport,
    File,
    FileTrouble,
    TransferError,
    Upload,
    UploadReport,
    WatchedBody,
    download_study,
    upload_folder,
)
from helpers.workers import Stopped
from tests.helpers.conftest import NumberedTokens, Received, Reply, ScriptedServer

STUDY = study_uids()[0]
DICOM_JSON = {"Accept": "application/dicom+json"}


@pytest.fixture(scope="module")
def shared() -> Iterator[Any]:
    with dicom_emulator.running() as server:
        yield server


@pytest.fixture
def emulator(shared: Any, environment: pytest.MonkeyPatch) -> Any:
    shared.reset()
    return shared


@pytest.fixture
def client(emulator: Any) -> LessonSession:
    return LessonSession(BearerAuth(emulator.credential))


@pytest.fixture
def base_url(emulator: Any) -> str:
    return f"{emulator.url}/v2"


@pytest.fixture
def upload(client: LessonSession, base_url: str, tmp_path: Path) -> Callable[..., UploadReport]:
    def upload(folder: Path = tmp_path / "folder", **options: Any) -> UploadReport:
        options = {"first_wait": 0.001, "progress": False, **options}
        return upload_folder(client, base_url, folder, **options)

    return upload


@pytest.fixture
def download(client: LessonSession, base_url: str, tmp_path: Path) -> Callable[..., DownloadReport]:
    def download(study_uid: str = STUDY, folder: Path = tmp_path / "study", **options: Any) -> DownloadReport:
        options = {"first_wait": 0.001, "progress": False, **options}
        return download_study(client, base_url, study_uid, folder, **options)

    return download


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "folder"


def fault(emulator: Any, **rule: Any) -> None:
    assert requests.post(f"{emulator.url}/_emulator/faults", json=rule).status_code == 201


def asked(emulator: Any, method: str = "POST") -> list[dict[str, Any]]:
    """The exchanges of one method that the emulator has seen, oldest first."""
    return [each for each in requests.get(f"{emulator.url}/_emulator/requests").json() if each["method"] == method]


def instances(client: LessonSession, base_url: str, study_uid: str = STUDY) -> set[str]:
    response = client.get(f"{base_url}/studies/{study_uid}/metadata", headers=DICOM_JSON)
    return {row["00080018"]["Value"][0] for row in response.json()} if response.ok else set()


def uid(path: Path) -> str:
    return str(pydicom.dcmread(path, stop_before_pixels=True, force=True).SOPInstanceUID)


def by_name(report: UploadReport | DownloadReport) -> dict[str, str]:
    return {result.name.rpartition("/")[2]: result.status for result in report.results}


# ------------------------------------------------------------------------------------------------------------- upload


def test_every_file_of_the_folder_is_stored_and_told(
    upload: Callable, client: LessonSession, base_url: str, folder: Path
) -> None:
    paths = make_folder(folder, files=12, studies=2)
    report = upload()
    assert report.counts == {"stored": 12} and report.complete
    assert [result.path for result in report.results] == paths
    for number, study_uid in enumerate(study_uids(studies=2), start=1):
        assert instances(client, base_url, study_uid) == {uid(path) for path in folder.glob(f"study-{number}/*/*")}


@pytest.mark.parametrize(("limits", "requests_sent"), [({"batch_files": 5}, 3), ({"batch_bytes": 5000}, 6), ({}, 1)])
def test_requests_keep_both_limits(
    upload: Callable, emulator: Any, folder: Path, limits: dict[str, int], requests_sent: int
) -> None:
    make_folder(folder, files=12, studies=1)  # 1.9 kB each
    report = upload(**limits)
    assert report.requests == len(asked(emulator)) == requests_sent and report.complete


def test_a_file_that_is_bigger_than_a_batch_goes_alone(upload: Callable, folder: Path) -> None:
    make_folder(folder, files=3, studies=1)
    assert upload(batch_bytes=1).requests == 3


def test_several_requests_are_under_way_at_once_and_no_more_than_allowed(
    server: ScriptedServer, folder: Path, tmp_path: Path
) -> None:
    make_folder(folder, files=6, studies=1)
    together = threading.Barrier(3, timeout=20)  # broken, and then an error, unless three are there
    most, lock, open_now = [], threading.Lock(), 0

    def on_request(request: Received) -> None:
        nonlocal open_now
        with lock:
            open_now += 1
            most.append(open_now)
        together.wait()
        with lock:
            open_now -= 1

    server.on_request = on_request
    server.replies = [answer(stored=["1"])]
    report = upload_folder(requests.Session(), server.url, folder, batch_files=1, concurrency=3, progress=False)
    assert report.counts == {"stored": 6} and max(most) == 3


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_what_the_server_could_not_do_now_is_sent_again(
    upload: Callable, emulator: Any, folder: Path, status: int
) -> None:
    make_folder(folder, files=4, studies=1)
    fault(emulator, method="POST", status=status, nth=2, count=2)
    report = upload(batch_files=2, concurrency=1)
    assert report.counts == {"stored": 4} and (report.requests, report.repeats) == (4, 2)


def test_a_server_that_stays_busy_is_left_alone_after_the_last_attempt(
    upload: Callable, emulator: Any, folder: Path
) -> None:
    make_folder(folder, files=2, studies=1)
    fault(emulator, method="POST", status=503, count=0)
    report = upload(attempts=3)
    assert len(asked(emulator)) == 3 and not report.complete
    assert {result.reason for result in report.problems} == {"503 Service Unavailable, 3 times"}
    assert "run the upload again" in report.problems[0].advice


@pytest.mark.parametrize(
    ("status", "advice"), [(401, "sign in"), (403, "Data Owner"), (404, "base_url"), (406, "look")]
)
def test_a_refusal_of_everything_ends_the_upload_at_once(
    upload: Callable, emulator: Any, folder: Path, status: int, advice: str
) -> None:
    make_folder(folder, files=8, studies=1)
    fault(emulator, method="POST", status=status, count=0)
    report = upload(batch_files=1, concurrency=1)
    assert report.requests == 1
    assert report.counts == {"failed": 8} and "not sent" in report.results[0].reason
    assert f"{status}" in report.results[7].reason and advice in report.results[7].advice


def test_retry_after_is_respected(server: ScriptedServer, folder: Path) -> None:
    make_folder(folder, files=1)
    server.replies = [Reply(429, {"Retry-After": "0"}), answer(stored=["1"])]
    report = upload_folder(requests.Session(), server.url, folder, first_wait=0, progress=False, journal=False)
    assert report.counts == {"stored": 1} and report.repeats == 1
    server.replies = [Reply(503, {"Retry-After": str(int(LONGEST_RETRY_AFTER) + 1)}), answer(stored=["1"])]
    report = upload_folder(requests.Session(), server.url, folder, first_wait=0, progress=False, journal=False)
    assert report.counts == {"failed": 1} and "once" in report.results[0].reason, "nobody waits that long unasked"


def test_pauses_grow_differ_and_never_undercut_the_server() -> None:
    waits = [[seconds_to_wait(attempt) for _ in range(50)] for attempt in range(1, 12)]
    for attempt, found in enumerate(waits, start=1):
        longest = min(30, 0.5 * 2 ** (attempt - 1))
        assert longest / 2 <= min(found) < max(found) <= longest
    assert all(9 <= seconds_to_wait(attempt, "9") for attempt in range(1, 8))


def test_a_connection_that_breaks_after_storing_counts_as_stored_by_us(
    upload: Callable, emulator: Any, folder: Path
) -> None:
    make_folder(folder, files=4, studies=1)
    fault(emulator, method="POST", cut_after=10)
    report = upload()
    assert report.counts == {"stored": 4} and report.repeats == 1
    assert {result.reason for result in report.results} == {"by an earlier request, whose answer was lost"}
    assert [each["status"] for each in asked(emulator)] == [200, 409], "the repeat was answered: all are there already"


@pytest.mark.parametrize(("status", "end"), [(503, "stored"), (500, "stored"), (429, "already there")])
def test_an_error_may_come_after_storing_but_a_refusal_for_haste_does_not(
    server: ScriptedServer, folder: Path, status: int, end: str
) -> None:
    (path,) = make_folder(folder, files=1)
    server.replies = [Reply(status), answer(failed={uid(path): 45070})]
    report = upload_folder(requests.Session(), server.url, folder, first_wait=0, progress=False)
    assert report.counts == {end: 1}


def test_nobody_there_is_told(client: LessonSession, folder: Path) -> None:
    make_folder(folder, files=2, studies=1)
    report = upload_folder(client, "http://127.0.0.1:1", folder, attempts=2, first_wait=0, progress=False)
    assert report.counts == {"failed": 2} and "ServiceUnreachable" in report.results[0].reason


def test_a_connection_that_was_never_made_leaves_no_doubt(
    server: ScriptedServer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (path,) = make_folder(folder, files=1)
    send, calls = requests.adapters.HTTPAdapter.send, []

    def fail_once(self: Any, *arguments: Any, **options: Any) -> requests.Response:
        calls.append(arguments)
        if len(calls) == 1:
            raise requests.ConnectionError("no route")
        return send(self, *arguments, **options)

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", fail_once)
    server.replies = [answer(failed={uid(path): 45070})]
    report = upload_folder(requests.Session(), server.url, folder, first_wait=0, progress=False)
    assert report.counts == {"already there": 1} and len(calls) == 2


def test_what_is_stored_already_is_told_apart(upload: Callable, folder: Path) -> None:
    make_folder(folder, files=3, studies=1)
    upload(journal=False)
    make_folder(folder, files=5, studies=1)
    assert upload(journal=False).counts == {"already there": 3, "stored": 2}


def test_bad_files_do_not_sink_the_good_ones(upload: Callable, folder: Path) -> None:
    make_folder(folder, files=20, studies=1, broken=["truncated", "not_dicom", "no_patient_id"])
    report = upload()
    assert report.counts == {"stored": 20, "refused": 2, "skipped": 1}
    found = {result.name: result for result in report.results}
    truncated = found["study-1/broken-truncated.dcm"]
    assert (truncated.status, truncated.reason) == ("refused", "the server could not read it (43264)")
    assert "get the file again" in truncated.advice
    lacking = found["study-1/broken-no-patient-id.dcm"]
    assert lacking.status == "refused" and "(0010,0020)" in lacking.reason and "correct" in lacking.advice
    assert found["study-1/broken-not-dicom.dcm"].reason == "no DICOM file, so it was not sent"


def test_a_batch_in_which_all_fail_is_told_item_by_item(upload: Callable, folder: Path) -> None:
    make_folder(folder, files=0, broken=["truncated", "no_patient_id"])
    assert by_name(upload()) == {"broken-truncated.dcm": "refused", "broken-no-patient-id.dcm": "refused"}


def test_the_second_of_two_equal_files_is_already_there(upload: Callable, folder: Path) -> None:
    make_folder(folder, files=3, studies=1, broken=["duplicate"])
    report = upload()
    assert report.counts == {"already there": 1, "stored": 3}
    assert by_name(report)["broken-duplicate.dcm"] == "stored", "it is the first of the two by name"


def test_of_two_files_with_one_uid_the_one_that_cannot_be_read_is_found(upload: Callable, folder: Path) -> None:
    (good,) = make_folder(folder, files=1, studies=1)
    (folder / "a-first.dcm").write_bytes(good.read_bytes()[:1500])
    report = upload()
    assert by_name(report) == {"a-first.dcm": "refused", "00001.dcm": "stored"}


def test_a_duplicate_stays_one_when_an_answer_was_lost(upload: Callable, emulator: Any, folder: Path) -> None:
    make_folder(folder, files=3, studies=1, broken=["duplicate"])
    fault(emulator, method="POST", cut_after=10)
    assert upload().counts == {"already there": 1, "stored": 3}


def test_a_file_of_another_study_is_refused_where_one_is_insisted_on(upload: Callable, folder: Path) -> None:
    make_folder(folder, files=3, studies=1, broken=["other_study"])
    report = upload(study_uid=STUDY)
    assert report.counts == {"refused": 1, "stored": 3}
    assert report.problems[0].reason.startswith("it belongs to another study")
    assert upload(journal=False).counts == {"stored": 1, "already there": 3}


def test_warnings_are_passed_on(upload: Callable, folder: Path) -> None:
    good, odd = make_folder(folder, files=2, studies=1)
    odd.write_bytes(odd.read_bytes().replace(b"20200922", b"20201399"))
    report = upload()
    assert by_name(report) == {good.name: "stored", odd.name: "stored with warnings"}
    assert "(0008,0020)" in report.results[1].reason and report.complete


@pytest.mark.parametrize("status", [400, 413, 415])
def test_the_file_that_spoils_a_whole_request_is_found_by_halves(
    server: ScriptedServer, folder: Path, status: int
) -> None:
    paths = make_folder(folder, files=8, studies=1)
    culprit = uid(paths[5]).encode()

    def on_request(request: Received) -> None:
        sent = [path for path in paths if uid(path).encode() in request.body]
        spoilt = culprit in request.body
        server.replies = [Reply(status, body=b"no") if spoilt else answer(stored=[uid(path) for path in sent])]

    server.on_request = on_request
    report = upload_folder(requests.Session(), server.url, folder, progress=False)
    assert [result.path for result in report.problems] == [paths[5]]
    assert report.counts == {"stored": 7, "refused": 1} and str(status) in report.problems[0].reason
    assert report.requests == 7, "8, 4 + 4, 2 + 2, 1 + 1"


def fails_at(server: ScriptedServer, paths: list[Path], culprits: list[Path], status: int) -> None:
    """The server stores all files but the culprits, and fails at each request that holds one of them."""

    def on_request(request: Received) -> None:
        sent = [uid(path) for path in paths if uid(path).encode() in request.body]
        spoilt = {uid(path) for path in culprits} & set(sent)
        server.replies = [Reply(status, body=b"oh") if spoilt else answer(stored=sent)]

    server.on_request = on_request


@pytest.mark.parametrize("status", [500, 502, 504])
@pytest.mark.parametrize("culprits", [[5], [0], [0, 1, 7]], ids=str)
def test_the_file_at_which_the_server_fails_each_time_is_named_and_the_others_are_stored(
    server: ScriptedServer, folder: Path, status: int, culprits: list[int]
) -> None:
    paths = make_folder(folder, files=8, studies=1)
    fails_at(server, paths, [paths[number] for number in culprits], status)
    report = upload_folder(requests.Session(), server.url, folder, attempts=2, first_wait=0, progress=False)
    assert report.counts == {"stored": 8 - len(culprits), "failed": len(culprits)}
    assert [result.path for result in report.problems] == [paths[number] for number in culprits]
    assert all(str(status) in result.reason and "sent alone" in result.reason for result in report.problems)
    assert all("look at this file" in result.advice for result in report.problems)
    if culprits == [5]:
        assert report.requests == 8, "8 twice, 4 + 4, 2 + 2, 1 + 1"


def test_a_server_that_is_too_busy_meanwhile_is_waited_for(server: ScriptedServer, folder: Path) -> None:
    first, second = make_folder(folder, files=2, studies=1)
    server.replies = [Reply(500), Reply(503), answer(stored=[uid(first)]), answer(stored=[uid(second)])]
    report = upload_folder(requests.Session(), server.url, folder, attempts=1, first_wait=0, progress=False)
    assert report.counts == {"stored": 2}


def test_the_named_file_is_sent_again_by_the_next_run(server: ScriptedServer, folder: Path) -> None:
    paths = make_folder(folder, files=4, studies=1)
    fails_at(server, paths, [paths[2]], 500)
    upload_folder(requests.Session(), server.url, folder, attempts=1, progress=False)
    fails_at(server, paths, [], 500)
    report = upload_folder(requests.Session(), server.url, folder, attempts=1, progress=False)
    assert report.counts == {"stored": 1, "skipped": 3}


def test_a_server_that_fails_at_everything_is_asked_for_eighths_and_no_more(
    server: ScriptedServer, folder: Path
) -> None:
    make_folder(folder, files=40, studies=1)
    server.replies = [Reply(502)]
    report = upload_folder(requests.Session(), server.url, folder, attempts=2, first_wait=0, progress=False)
    assert report.requests == 2 + 2 + 4 + 8 and report.counts == {"failed": 40}
    assert {result.advice for result in report.problems} == {"run the upload again: it sends what is missing"}


@pytest.mark.parametrize("reason", [45071, 272])
def test_an_instance_that_could_not_be_stored_now_is_sent_again_alone(
    server: ScriptedServer, folder: Path, reason: int
) -> None:
    first, second = make_folder(folder, files=2, studies=1)
    server.replies = [answer(stored=[uid(first)], failed={uid(second): reason}), answer(stored=[uid(second)])]
    report = upload_folder(requests.Session(), server.url, folder, first_wait=0, progress=False)
    assert report.counts == {"stored": 2}
    assert uid(first).encode() not in server.received[1].body and uid(second).encode() in server.received[1].body


def test_an_answer_that_names_nobody_is_settled_one_by_one(server: ScriptedServer, folder: Path) -> None:
    first, second = make_folder(folder, files=2, studies=1)
    server.replies = [
        answer(stored=["1.2.3"], failed={"1.2.4": 43264}),
        answer(stored=["9"]),
        answer(failed={"9": 43264}),
    ]
    report = upload_folder(requests.Session(), server.url, folder, progress=False)
    assert by_name(report) == {first.name: "stored", second.name: "refused"}


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}"])
def test_a_success_without_a_list_is_no_proof(server: ScriptedServer, folder: Path, body: bytes) -> None:
    make_folder(folder, files=1)
    server.replies = [Reply(200, body=body)]
    report = upload_folder(requests.Session(), server.url, folder, attempts=2, first_wait=0, progress=False)
    assert report.counts == {"failed": 1} and "without a list" in report.results[0].reason


def test_a_file_that_changes_while_it_is_sent_is_left_out(server: ScriptedServer, folder: Path) -> None:
    good, changed, gone = make_folder(folder, files=3, studies=1)

    def on_request(request: Received) -> None:
        if len(server.received) == 1:
            changed.write_bytes(changed.read_bytes() + b"more")
            gone.unlink()

    server.on_request = on_request
    server.replies = [Reply(503), answer(stored=[uid(good), uid(changed)])]
    report = upload_folder(requests.Session(), server.url, folder, first_wait=0, progress=False)
    assert by_name(report) == {good.name: "stored", changed.name: "failed", gone.name: "failed"}
    assert report.problems[0].reason == "changed, or gone, while it was being sent"
    assert len(server.received) == 2


def test_the_folder_that_is_not_there_is_named(upload: Callable, tmp_path: Path) -> None:
    with pytest.raises(TransferError, match="no folder 'nowhere'"):
        upload(tmp_path / "nowhere")


def test_an_empty_folder_is_no_error(upload: Callable, folder: Path) -> None:
    folder.mkdir()
    report = upload()
    assert report.complete and str(report) == "0 files: nothing to do · 0 requests"


# ------------------------------------------------------------------------------------------- journal: once and no more


def test_a_second_run_sends_nothing(upload: Callable, emulator: Any, folder: Path) -> None:
    make_folder(folder, files=6, studies=1)
    upload()
    report = upload()
    assert report.counts == {"skipped": 6} and report.requests == 0 and report.complete
    assert report.results[0].reason == "stored by an earlier run, the journal says"


def test_a_second_run_sends_what_is_missing_new_or_changed(upload: Callable, emulator: Any, folder: Path) -> None:
    paths = make_folder(folder, files=8, studies=1)
    fault(emulator, method="POST", status=503, nth=3, count=0)
    assert upload(batch_files=2, concurrency=1, attempts=1).counts == {"stored": 4, "failed": 4}
    requests.delete(f"{emulator.url}/_emulator/faults")
    new = folder / "new.dcm"
    new.write_bytes(make_folder(folder.with_name("other"), files=1, seed=2)[0].read_bytes())
    os.utime(paths[0], (0, 0))
    report = upload()
    assert report.counts == {"stored": 5, "already there": 1, "skipped": 3}
    assert by_name(report)[paths[0].name] == "already there", "it might have changed, so the server is asked"


def test_the_journal_lies_beside_the_folder_where_asked_for_or_nowhere(
    upload: Callable, folder: Path, tmp_path: Path
) -> None:
    make_folder(folder, files=1)
    upload(journal=False)
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
    upload(journal=folder / "my.jsonl")
    upload()
    assert (tmp_path / "folder.upload.jsonl").exists()
    report = upload(journal=folder / "my.jsonl")
    assert "my.jsonl" not in by_name(report), "a journal inside the folder is not uploaded"


def test_what_another_server_has_does_not_count(
    upload: Callable, client: LessonSession, emulator: Any, folder: Path
) -> None:
    make_folder(folder, files=2, studies=1)
    upload()
    emulator.reset()
    report = upload_folder(client, f"{emulator.url}/v1", folder, progress=False)
    assert report.counts == {"stored": 2}
    assert upload().counts == {"skipped": 2}, "the first server's part of the journal is still good"


def test_a_run_that_was_killed_while_sending_owns_what_it_stored(upload: Callable, folder: Path) -> None:
    make_folder(folder, files=2, studies=1)
    upload()
    journal = folder.with_name("folder.upload.jsonl")
    lines = journal.read_text().splitlines()
    kept = [line for line in lines if '"stored"' not in line]
    journal.write_text("\n".join(kept) + "\n" + lines[-1][:20])
    report = upload()
    assert report.counts == {"stored": 2} and "answer was lost" in report.results[0].reason
    assert all(json.loads(line) for line in journal.read_text().splitlines() if line != lines[-1][:20])
    assert upload().counts == {"skipped": 2}


def test_a_file_that_is_no_journal_is_not_written_to(upload: Callable, folder: Path) -> None:
    (path,) = make_folder(folder, files=1)
    before = path.read_bytes()
    with pytest.raises(NotAJournal, match="is no journal"):
        upload(journal=path)
    assert path.read_bytes() == before


def test_an_entry_is_on_disk_before_the_upload_goes_on(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j.jsonl", "here")
    journal.write([{"file": "a", "status": "sending"}])
    assert '"sending"' in journal.path.read_text(), "a kill would lose it"
    journal.close()


def test_a_journal_that_was_cut_off_anywhere_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    journal = Journal(path, "here")
    journal.write([{"file": "a", "status": "stored"}, {"file": "b", "status": "stored"}])
    journal.close()
    whole = path.read_bytes()
    for length in range(len(whole.splitlines()[0]) + 1, len(whole)):
        path.write_bytes(whole[:length])
        again = Journal(path, "here")
        assert again.last("b").get("status") in (None, "stored")
        again.write([{"file": "c", "status": "stored"}])
        again.close()
        again = Journal(path, "here")
        assert again.last("c")["status"] == "stored"
        again.close()


@pytest.fixture
def ctrl_c() -> Iterator[Callable[[], None]]:
    """What Ctrl-C does, also where the shell that began this run has told it to ignore that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield _thread.interrupt_main
    signal.signal(signal.SIGINT, before)


def when(condition: Callable[[], bool], action: Callable[[], None]) -> threading.Thread:
    """A thread, started, that waits for the condition and then acts."""

    def wait() -> None:
        while not condition():
            threading.Event().wait(0.01)
        action()

    somebody = threading.Thread(target=wait)
    somebody.start()
    return somebody


def test_ctrl_c_leaves_a_journal_that_the_next_run_goes_on_from(
    upload: Callable, emulator: Any, folder: Path, ctrl_c: Callable[[], None]
) -> None:
    make_folder(folder, files=6, studies=1)
    fault(emulator, method="POST", nth=3, count=0, delay=0.5)
    somebody = when(lambda: len(asked(emulator)) >= 2, ctrl_c)
    with pytest.raises(KeyboardInterrupt):
        upload(batch_files=1, concurrency=1)
    somebody.join()
    requests.delete(f"{emulator.url}/_emulator/faults")
    entries = [json.loads(line) for line in folder.with_name("folder.upload.jsonl").read_text().splitlines()]
    done = {entry["file"] for entry in entries if entry.get("status") == "stored"}
    assert 2 <= len(done) < 6
    report = upload(batch_files=1)
    assert report.counts == {"skipped": len(done), "stored": 6 - len(done)}


def watched_body(client: LessonSession, *paths: Path) -> WatchedBody:
    files = [File(path, path.name, path.stat().st_size, 0) for path in paths]
    return WatchedBody(files, Upload(client, "http://127.0.0.1:9", None, 1, 1, 0))


def test_a_body_stops_half_way_and_not_after_its_end(client: LessonSession, tmp_path: Path) -> None:
    path = tmp_path / "a.dcm"
    path.write_bytes(bytes(1_000_000))
    half, whole = watched_body(client, path), watched_body(client, path)
    pieces = iter(half)
    next(pieces), next(pieces)
    half._stop.set()
    with pytest.raises(Stopped):
        next(pieces)
    for _ in whole:
        if whole.tell() == len(whole):
            whole._stop.set()
    assert whole._stop.is_set()


def test_a_body_says_that_a_file_is_the_trouble(client: LessonSession, tmp_path: Path) -> None:
    path = tmp_path / "a.dcm"
    path.write_bytes(bytes(1_000))
    body = watched_body(client, path)
    path.write_bytes(bytes(999))
    with pytest.raises(FileTrouble):
        list(body)


# ---------------------------------------------------------------------------------------------- sign-in, guard, report


def test_other_files_than_the_samples_stay_on_this_machine(
    client: LessonSession, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_folder(folder, files=8, studies=1)
    sent = []
    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", lambda *arguments, **options: sent.append(arguments))
    with pytest.raises(PatientDataGuard, match="nothing was sent"):
        upload_folder(client, "https://example.org/v2", folder, batch_files=2, progress=False)
    assert sent == []


def test_what_is_allowed_in_words_may_go(client: LessonSession, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (path,) = make_folder(folder, files=1)
    sent = []

    def send(self: object, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        sent.append(request)
        response = requests.Response()
        response.request = request
        response.status_code, response._content = 200, answer(stored=[uid(path)]).body
        return response

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", send)
    client.allow = "test images I made myself"
    report = upload_folder(client, "https://example.org/v2", folder, progress=False)
    assert report.complete and sent[0].headers["Authorization"].startswith("Bearer ")


def test_a_token_that_runs_out_in_the_middle_is_renewed_for_all_threads(
    server: ScriptedServer, folder: Path, environment: pytest.MonkeyPatch
) -> None:
    make_folder(folder, files=8, studies=1)
    credential = NumberedTokens(last=2)

    def on_request(request: Received) -> None:
        with_new = request.headers["Authorization"] == "Bearer token-2"
        server.replies = [answer(stored=["1"]) if with_new else Reply(401)]

    server.on_request = on_request
    client = LessonSession(BearerAuth(credential))
    report = upload_folder(client, server.url, folder, batch_files=1, concurrency=1, progress=False)
    assert report.counts == {"stored": 8} and credential.asked == 2


def test_a_plain_session_will_do(emulator: Any, base_url: str, folder: Path) -> None:
    make_folder(folder, files=2, studies=1)
    client = requests.Session()
    client.headers["Authorization"] = f"Bearer {emulator.credential.get_token(SCOPE).token}"
    assert upload_folder(client, base_url, folder, progress=False).counts == {"stored": 2}


def test_the_report_counts_lists_and_saves(upload: Callable, folder: Path, tmp_path: Path) -> None:
    make_folder(folder, files=4, studies=1, broken=["truncated"])
    report = upload()
    assert str(report).splitlines() == [
        "5 files: 4 stored, 1 refused · 1 request",
        "refused: study-1/broken-truncated.dcm: the server could not read it (43264)",
        "    → get the file again: it is cut off, or damaged",
    ]
    report.save(tmp_path / "report.csv")
    with (tmp_path / "report.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 5 and rows[0]["file"] == "study-1/broken-truncated.dcm" and rows[0]["status"] == "refused"
    report.listed = 0
    assert "… and 1 more" in str(report)


def test_the_bar_is_drawn_for_a_person_and_not_where_outputs_are_compared(
    upload: Callable, folder: Path, capsys: pytest.CaptureFixture[str], environment: pytest.MonkeyPatch
) -> None:
    make_folder(folder, files=2, studies=1)
    environment.setenv("DICOM_LESSON_TIMES", "hidden")
    upload(progress=True)
    assert capsys.readouterr() == ("", "")
    environment.delenv("DICOM_LESSON_TIMES")
    folder.with_name("folder.upload.jsonl").unlink()
    upload(progress=True)
    out, err = capsys.readouterr()
    assert "2 files: 100%" in out and err == ""
    upload(progress=False)
    assert capsys.readouterr() == ("", "")


def test_uploading_needs_no_memory_for_the_files(upload: Callable, folder: Path) -> None:
    folder.mkdir()
    for number in (1, 2):
        make_film(folder / f"{number}.dcm", megabytes=40, number=number)
    tracemalloc.start()
    try:
        report = upload(concurrency=1)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert report.counts == {"stored": 2} and peak < 20_000_000, "the emulator of this test is in the same process"


# ----------------------------------------------------------------------------------------------------------- download


def test_a_study_comes_back_byte_for_byte_under_its_uids(
    upload: Callable, download: Callable, folder: Path, tmp_path: Path
) -> None:
    paths = make_folder(folder, files=6, studies=1)
    upload()
    report = download()
    assert report.counts == {"fetched": 6} and report.complete and report.requests == 2
    found = {path.name: path.read_bytes() for path in (tmp_path / "study").iterdir()}
    assert found == {f"{uid(path)}.dcm": path.read_bytes() for path in paths}


def test_a_second_download_fetches_nothing(upload: Callable, download: Callable, folder: Path) -> None:
    make_folder(folder, files=3, studies=1)
    upload()
    download()
    report = download()
    assert report.counts == {"already there": 3} and report.requests == 1


def test_after_a_broken_connection_only_what_is_missing_is_fetched(
    upload: Callable, download: Callable, emulator: Any, folder: Path, tmp_path: Path
) -> None:
    make_folder(folder, files=6, studies=1)
    upload()
    fault(emulator, method="GET", path=f"/v2/studies/{STUDY}", cut_after=8000)  # four of 1.9 kB are whole
    report = download()
    assert report.counts == {"fetched": 6}
    alone = [each["path"] for each in asked(emulator, "GET") if "/instances/" in each["path"]]
    assert 1 <= len(alone) < 6
    assert all(len(path.read_bytes()) > 1000 for path in (tmp_path / "study").glob("*.dcm"))
    assert not list((tmp_path / "study").glob(".*")), "nothing half done is left"


def test_a_file_that_is_cut_off_gets_no_name(
    upload: Callable, download: Callable, emulator: Any, folder: Path, tmp_path: Path
) -> None:
    make_folder(folder, files=2, studies=1)
    upload()
    fault(emulator, method="GET", path="/v2/studies/*", nth=2, count=0, cut_after=1000)
    report = download(attempts=2)
    assert report.counts == {"failed": 2} and "fetches what is missing" in report.problems[0].advice
    assert list((tmp_path / "study").iterdir()) == []
    requests.delete(f"{emulator.url}/_emulator/faults")
    assert download().counts == {"fetched": 2}


@pytest.mark.parametrize("nth", [1, 2])
def test_a_busy_server_is_asked_again(
    upload: Callable, download: Callable, emulator: Any, folder: Path, nth: int
) -> None:
    make_folder(folder, files=2, studies=1)
    upload()
    fault(emulator, method="GET", status=503, nth=nth, count=2)
    report = download()
    assert report.counts == {"fetched": 2} and report.repeats == 2


def test_a_deleted_file_is_fetched_again_and_a_wrong_one_replaced(
    upload: Callable, download: Callable, folder: Path, tmp_path: Path
) -> None:
    make_folder(folder, files=3, studies=1)
    upload()
    download()
    first, second, _ = sorted((tmp_path / "study").iterdir())
    first.unlink()
    second.write_bytes(b"something else")
    report = download()
    assert report.counts == {"fetched": 2, "already there": 1}
    assert uid(second) == second.stem


def test_ctrl_c_leaves_whole_files_only(
    upload: Callable, download: Callable, emulator: Any, folder: Path, tmp_path: Path, ctrl_c: Callable[[], None]
) -> None:
    make_folder(folder, files=20, studies=1)
    upload()
    fault(emulator, method="GET", path=f"/v2/studies/{STUDY}", bytes_per_second=20_000)  # two seconds for all
    somebody = when(lambda: len(list((tmp_path / "study").glob("*.dcm"))) >= 2, ctrl_c)
    with pytest.raises(KeyboardInterrupt):
        download()
    somebody.join()
    left = list((tmp_path / "study").iterdir())
    assert 2 <= len(left) < 20 and all(path.name == f"{uid(path)}.dcm" for path in left)
    report = download()
    assert report.counts == {"fetched": 20 - len(left), "already there": len(left)}


def test_what_a_killed_download_left_behind_is_removed(
    upload: Callable, download: Callable, folder: Path, tmp_path: Path
) -> None:
    make_folder(folder, files=1)
    upload()
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / ".transfer-abc.part").write_bytes(b"half")
    download()
    assert [path.suffix for path in (tmp_path / "study").iterdir()] == [".dcm"]


def test_a_study_that_is_not_there_is_told(download: Callable) -> None:
    with pytest.raises(TransferError, match="404.*cannot be found"):
        download("1.2.3")


def test_metadata_that_cannot_be_had_is_told(download: Callable, emulator: Any) -> None:
    fault(emulator, method="GET", status=503, count=0)
    with pytest.raises(TransferError, match="503 Service Unavailable, 2 times"):
        download(attempts=2)


def test_an_instance_that_is_deleted_meanwhile_is_told(
    upload: Callable, download: Callable, emulator: Any, folder: Path
) -> None:
    make_folder(folder, files=2, studies=1)
    upload()
    fault(emulator, method="GET", path=f"/v2/studies/{STUDY}", status=404)
    fault(emulator, method="GET", path="*/instances/*", status=404)
    report = download(concurrency=1)
    assert report.counts == {"fetched": 1, "failed": 1}
    assert report.problems[0].advice == "it was deleted meanwhile"


def test_names_come_from_the_file_and_never_lead_out_of_the_folder(server: ScriptedServer, tmp_path: Path) -> None:
    (path,) = make_folder(tmp_path / "folder", files=1)
    content = path.read_bytes()
    evil = content.replace(uid(path).encode(), b"../" * 20 + b"evil")
    body, content_type = encode_multipart_related([evil])
    metadata = [{"0020000E": {"vr": "UI", "Value": ["1.2"]}, "00080018": {"vr": "UI", "Value": ["1.2.3"]}}]
    server.replies = [
        Reply(body=json.dumps(metadata).encode()),
        Reply(headers={"Content-Type": content_type}, body=body),
    ]
    report = download_study(
        requests.Session(), server.url, "1", tmp_path / "study", attempts=2, first_wait=0, progress=False
    )
    assert report.counts == {"failed": 1} and "another instance" in report.problems[0].reason
    assert list((tmp_path / "study").iterdir()) == []
    assert sorted(each.name for each in tmp_path.iterdir()) == ["folder", "study"]


def test_two_series_may_hold_the_same_uid(server: ScriptedServer, tmp_path: Path) -> None:
    (path,) = make_folder(tmp_path / "folder", files=1)
    ds = pydicom.dcmread(path)
    instance, series = str(ds.SOPInstanceUID), str(ds.SeriesInstanceUID)
    other = series[:-1] + ("1" if series[-1] != "1" else "2")
    twin = path.read_bytes().replace(series.encode(), other.encode())
    body, content_type = encode_multipart_related([path.read_bytes(), twin])
    metadata = [{"0020000E": {"Value": [each]}, "00080018": {"Value": [instance]}} for each in (series, other)]
    server.replies = [
        Reply(body=json.dumps(metadata).encode()),
        Reply(headers={"Content-Type": content_type}, body=body),
    ]
    report = download_study(requests.Session(), server.url, "1", tmp_path / "study", progress=False)
    assert report.counts == {"fetched": 2} and len(list((tmp_path / "study").iterdir())) == 2


def test_downloading_needs_no_memory_for_the_study(
    upload: Callable, download: Callable, folder: Path, tmp_path: Path
) -> None:
    folder.mkdir()
    study_uid = make_film(folder / "1.dcm", megabytes=60)
    upload()
    tracemalloc.start()
    try:
        report = download(study_uid)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert report.counts == {"fetched": 1} and peak < 20_000_000
    (file,) = (tmp_path / "study").iterdir()
    assert file.stat().st_size == (folder / "1.dcm").stat().st_size > 59_000_000
    shutil.rmtree(tmp_path / "study")


def answer(stored: list[str] = (), failed: dict[str, int] | None = None) -> Reply:
    """What a server says of a store request."""
    body: dict[str, Any] = {}
    if stored:
        body["00081199"] = {"vr": "SQ", "Value": [{"00081155": {"vr": "UI", "Value": [each]}} for each in stored]}
    if failed:
        items = [
            {"00081155": {"vr": "UI", "Value": [each]}, "00081197": {"vr": "US", "Value": [reason]}}
            for each, reason in failed.items()
        ]
        body["00081198"] = {"vr": "SQ", "Value": items}
    status = 200 if not failed else 202 if stored else 409
    return Reply(status, {"Content-Type": "application/dicom+json"}, json.dumps(body).encode())
