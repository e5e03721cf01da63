"""Many files at once: upload_folder() and download_study().

Both go on where they stopped, repeat what is worth repeating and nothing else, hold no file in memory, and tell of each
file what became of it, why, and what to do.
"""

import csv
import os
import re
import tempfile
import time
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pydicom
import requests
from tqdm.std import tqdm

from helpers.errors import HelperError
from helpers.journal import Journal
from helpers.multipart import MultipartError, MultipartRelatedStream, Part, iter_parts
from helpers.retry import BROKEN_CONNECTION, WORTH_REPEATING
from helpers.workers import TIMEOUT, Stopped, Workers, bar_options, how_often

DICOM_JSON = "application/dicom+json"
ALL_PARTS = 'multipart/related; type="application/dicom"; transfer-syntax=*'

# The service takes 2 GB a file and 4 GB a request. Small batches cost little when one has to be sent again.
BATCH_BYTES = 32 * 1024 * 1024
BATCH_FILES = 100

STORED, WARNED, THERE = "stored", "stored with warnings", "already there"
FETCHED, SKIPPED, REFUSED, FAILED = "fetched", "skipped", "refused", "failed"
ON_THE_SERVER = {STORED, WARNED, THERE}
IN_ORDER = (STORED, FETCHED, WARNED, THERE, SKIPPED, REFUSED, FAILED)  # from good to bad

ALREADY_STORED, BEING_STORED, NOT_PROCESSED = 45070, 45071, 272
INVALID, OTHER_STUDY = 43264, 43265
# Nothing in these answers is about a single file: all other requests would get the same.
CONCERNS_ALL = {401, 403, 404, 405, 406}
# The server failed, perhaps at a single file. 503 is not among them: it says that the server has too much to do.
PERHAPS_A_FILE = {500, 502, 504}
RUN_AGAIN = "run the upload again: it sends what is missing"
LOOK_AT_IT = "the server takes the others: look at this file with dcmdump or pydicom, then run the upload again"


class TransferError(HelperError):
    """Nothing can be transferred as asked."""


@dataclass(frozen=True)
class Result:
    """What became of one file: `status` is one of the constants above, `advice` what to do, empty for nothing."""

    name: str
    path: Path | None
    status: str
    reason: str = ""
    advice: str = ""


@dataclass
class Report:
    """What became of each file, in `results`, in order. Printed, it counts them and lists those that need a look.

    `requests`, `repeats`: how many requests were sent, and how many of them again; `seconds`: how long it took;
    `size`: bytes that went over the wire, headers aside.
    """

    results: list[Result]
    requests: int = 0
    repeats: int = 0
    seconds: float = 0.0
    size: int = 0
    listed: int = field(default=20, repr=False)  # results that are printed, at most

    @property
    def counts(self) -> dict[str, int]:
        """How many files came to which end: {"stored": 1000, "refused": 2}."""
        counted = Counter(result.status for result in self.results)
        return {status: counted[status] for status in IN_ORDER if counted[status]}

    @property
    def problems(self) -> list[Result]:
        """What is not where it should be: refused or failed."""
        return [result for result in self.results if result.status in {REFUSED, FAILED}]

    @property
    def complete(self) -> bool:
        return not self.problems

    def of(self, *statuses: str) -> list[Result]:
        """The results of one status, or several."""
        return [result for result in self.results if result.status in statuses]

    def save(self, path: str | Path) -> None:
        """Write all results as a table (CSV), for whoever has to look after them."""
        with Path(path).open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["file", "status", "reason", "what to do"])
            writer.writerows([result.name, result.status, result.reason, result.advice] for result in self.results)

    def __str__(self) -> str:
        ends = ", ".join(f"{count:,} {status}" for status, count in self.counts.items()) or "nothing to do"
        sent = f"{self.requests:,} request{'' if self.requests == 1 else 's'}"
        repeats = f", {self.repeats:,} of them sent again" if self.repeats else ""
        lines = [f"{len(self.results):,} files: {ends} · {sent}{repeats}"]
        told = [result for result in self.results if result.advice]
        for result in told[: self.listed]:
            lines += [f"{result.status}: {result.name}: {result.reason}", f"    → {result.advice}"]
        if len(told) > self.listed:
            lines.append(f"… and {len(told) - self.listed:,} more: see .results, or .save(path)")
        return "\n".join(lines)

    __repr__ = __str__


class UploadReport(Report):
    """What became of each file of a folder: stored, stored with warnings, already there, refused, failed, skipped."""


class DownloadReport(Report):
    """What became of each instance of a study: fetched, already there, failed."""


# ------------------------------------------------------------------------------------------------------------- upload


@dataclass(eq=False)
class File:
    """A file that waits to be sent. `unsure`: an earlier request may have stored it, and its answer was lost."""

    path: Path
    name: str
    size: int
    modified: int
    unsure: bool = False

    def entry(self, status: str, reason: str = "") -> dict[str, Any]:
        """A line of the journal."""
        return {
            "file": self.name,
            "size": self.size,
            "modified": self.modified,
            "status": status,
            **({"reason": reason} if reason else {}),
        }

    def result(self, status: str, reason: str = "", advice: str = "") -> Result:
        return Result(self.name, self.path, status, reason, advice)

    def is_as_it_was(self) -> bool:
        """Whether it can be read and has not changed since it was listed."""
        try:
            with self.path.open("rb"):
                found = self.path.stat()
        except OSError:
            return False
        return (found.st_size, found.st_mtime_ns) == (self.size, self.modified)


def upload_folder(
    client: requests.Session,
    base_url: str,
    folder: str | os.PathLike[str],
    *,
    study_uid: str | None = None,
    batch_bytes: int = BATCH_BYTES,
    batch_files: int = BATCH_FILES,
    concurrency: int = 4,
    attempts: int = 5,
    first_wait: float = 0.5,
    journal: str | os.PathLike[str] | bool | None = None,
    progress: bool = True,
) -> UploadReport:
    """Store all DICOM files below `folder`, in requests of at most `batch_bytes` and `batch_files`, several at a time.

    - A request that finds the server too busy (429, 503 and the like), or whose connection breaks, is sent again, up
      to `attempts` times, with pauses that grow from `first_wait` seconds; Retry-After is respected. Other refusals
      are not repeated. A whole request that is refused, or at which the server fails each time (500, 502, 504), is cut
      in halves until the file is found that spoils it; the others get stored.
    - The server's answer is read item by item. "Already stored" after an answer was lost counts as stored: by us, or
      long before, nobody can tell.
    - The journal says what is done. A second call sends the rest. `journal`: where it lies; None for a file beside the
      folder, `FOLDER.upload.jsonl`; False for none. It trusts itself: when files were deleted on the server, delete it.
    - Ctrl-C stops it. Requests whose body has left are waited for and noted down.

    `study_uid`: refuse files of any other study. `client`: its sign-in and its guard over patient data stay in force.
    `progress`: draw a bar. Files are read while they are sent, never kept.

    Raises TransferError (no such folder), NotAJournal, and what the client raises when it refuses to send:
    PatientDataGuard, NotSignedIn.

    For example, as in lesson 15, `report = upload_folder(client, base_url, "folder")`, and then `print(report)`:

        1,000 files: 1,000 stored · 10 requests
    """
    top = Path(folder)
    if not top.is_dir():
        raise TransferError(f"there is no folder {top.name!r} to upload. Is the path right, seen from where you are?")
    if batch_bytes < 1 or batch_files < 1:
        raise ValueError("batch_bytes and batch_files count from 1")
    url = f"{base_url}/studies" + (f"/{study_uid}" if study_uid else "")
    if journal is None or journal is True:
        journal = top.resolve().with_name(f"{top.resolve().name}.upload.jsonl")
    diary = Journal(journal, url) if journal is not False else None
    try:
        return Upload(client, url, diary, concurrency, attempts, first_wait).run_on(
            top, batch_bytes, batch_files, progress
        )
    finally:
        if diary:
            diary.close()


@dataclass(frozen=True)
class Trouble:
    """Why files of a batch have no result yet; what the answer said, if there was one."""

    why: str
    retry_after: str | None = None
    status: int | None = None


class Upload(Workers):
    """One call of upload_folder."""

    def __init__(
        self, client: requests.Session, url: str, journal: Journal | None, concurrency: int, attempts: int, wait: float
    ) -> None:
        super().__init__(client, concurrency, attempts, wait)
        self.url, self.journal = url, journal
        self.results: dict[str, Result] = {}
        self.fatal: Result | None = None  # why nothing more is sent
        self.in_flight: set[WatchedBody] = set()
        self.bytes_settled = 0
        self.stored_uids: set[str] = set()  # which this upload has been credited with

    def run_on(self, top: Path, batch_bytes: int, batch_files: int, progress: bool) -> UploadReport:
        start = time.monotonic()
        names = [path for path in sorted(top.rglob("*")) if path.is_file() and not self.is_journal(path)]
        files = [file for path in names if (file := self.listed(path, top))]
        total = sum(file.size for file in files)
        jobs = list(batches(files, batch_bytes, batch_files))
        self.run(self.deliver, jobs, self.look, bar_options(progress, total, f"{len(files):,} files"))
        for file in files:
            if file.name not in self.results:
                assert self.fatal
                self.results[file.name] = file.result(FAILED, f"not sent: {self.fatal.reason}", self.fatal.advice)
        results = [self.results[name_below(top, path)] for path in names]
        return UploadReport(results, self.requests, self.repeats, time.monotonic() - start, self.bytes_settled)

    def is_journal(self, path: Path) -> bool:
        return self.journal is not None and path.resolve() == self.journal.path.resolve()

    def look(self, bar: tqdm) -> None:
        with self.lock:
            bar.n = min(bar.total, self.bytes_settled + sum(body.tell() for body in self.in_flight))

    # What to send

    def listed(self, path: Path, top: Path) -> File | None:
        """The file, if it is to be sent; else it has its result already."""
        name = name_below(top, path)
        try:
            found = path.stat()
            file = File(path, name, found.st_size, found.st_mtime_ns)
            dicom = looks_like_dicom(path)
        except OSError as problem:
            why = f"cannot be read: {problem.strerror}"
            self.results[name] = Result(name, path, FAILED, why, "see to it that you may read it; then run it again")
            return None
        before = self.journal.last(name) if self.journal else {}
        unchanged = (before.get("size"), before.get("modified")) == (file.size, file.modified)
        if unchanged and before.get("status") in ON_THE_SERVER:
            self.results[name] = file.result(SKIPPED, f"{before['status']} by an earlier run, the journal says")
        elif not dicom:
            self.results[name] = file.result(
                SKIPPED, "no DICOM file, so it was not sent", "nothing, unless it should be one: then get it again"
            )
        else:
            file.unsure = unchanged and before.get("status") == "sending"
            return file
        return None

    # Sending

    def deliver(self, files: list[File]) -> None:
        """Send one batch again and again, until each of its files has a result. Raises Stopped."""
        attempt = 1
        self.note(file.entry("sending") for file in files)
        while files:
            files, trouble = self.try_once(files)
            if files and not self.wait_before_next(attempt, trouble.retry_after):
                if len(files) > 1 and trouble.status in PERHAPS_A_FILE:
                    self.divide(files)
                else:
                    self.settle_all(files, FAILED, f"{trouble.why}, {how_often(attempt)}", RUN_AGAIN)
                return
            attempt += 1

    def try_once(self, files: list[File]) -> tuple[list[File], Trouble]:
        """Send a batch; return the files that have no result yet, and why. Raises Stopped."""
        try:
            response = self.send(files)
        except FileTrouble:
            return self.still_good(files), Trouble("a file could not be read")
        except BROKEN_CONNECTION as problem:
            return files, Trouble(f"the connection broke ({type(problem).__name__})")
        left, why = self.settle(files, response)
        return left, Trouble(why, response.headers.get("Retry-After"), response.status_code)

    def divide(self, files: list[File]) -> None:
        """Send halves of a batch at which the server fails, then halves of those that fail, down to single files.

        A bad file spoils one piece of each size. Where nothing is stored, down to the eighths, no file is to blame.
        """
        pieces, parts, taken = [files], 1, False
        alone: list[tuple[File, str]] = []
        while pieces and (taken or parts < 8):
            halves = [half for piece in pieces for half in (piece[: len(piece) // 2], piece[len(piece) // 2 :]) if half]
            pieces, parts = [], 2 * parts
            for half in halves:
                left, trouble = self.try_once(half)
                taken |= len(left) < len(half)
                if left and trouble.status not in PERHAPS_A_FILE:
                    self.deliver(left)
                elif left and len(half) == 1:
                    alone.append((half[0], f"{trouble.why}, also when it is sent alone"))
                elif left:
                    pieces.append(left)
        for file, why in alone:
            self.settle_all([file], FAILED, why, LOOK_AT_IT if taken else RUN_AGAIN)
        for piece in pieces:
            self.settle_all(piece, FAILED, f"{trouble.why}, whichever files are sent", RUN_AGAIN)

    def send(self, files: list[File]) -> requests.Response:
        self.count_request()
        body = WatchedBody(files, self)
        headers = {"Content-Type": body.content_type, "Accept": DICOM_JSON}
        with self.lock:
            self.in_flight.add(body)
        response = None
        try:
            response = self.session.post(self.url, data=body, headers=headers, timeout=TIMEOUT)
            return response
        finally:
            with self.lock:
                self.in_flight.discard(body)
            # 429 says that nothing was done. Whatever else was answered, or not, some files may have been stored.
            lost = response is None or (response.status_code in WORTH_REPEATING and response.status_code != 429)
            for file in files:
                file.unsure |= lost and body.tell() > 0

    def still_good(self, files: list[File]) -> list[File]:
        good = [file for file in files if file.is_as_it_was()]
        changed = [file for file in files if file not in good]
        self.settle_all(changed, FAILED, "changed, or gone, while it was being sent", RUN_AGAIN)
        return good

    # Reading the answer

    def settle(self, files: list[File], response: requests.Response) -> tuple[list[File], str]:
        """Note what the answer says of each file; return those that are worth sending again, and why."""
        status, answer = response.status_code, data_set(response)
        if status in WORTH_REPEATING:
            return files, f"{status} {response.reason}"
        if status in CONCERNS_ALL:
            self.give_up(refusal(response))
            return [], ""
        if answer is None and status < 400:
            return files, f"{status} {response.reason} without a list of what was stored"
        if answer is None or status not in {200, 202, 409}:
            self.find_the_culprit(files, response)
            return [], ""
        told, untold = told_of(files, answer)
        again = [file for file, item in told.items() if self.judge(file, item)]
        for file in untold:
            file.unsure = True
            self.deliver([file])
        return again, "the server could not process it, or was storing it for another request"

    def find_the_culprit(self, files: list[File], response: requests.Response) -> None:
        """One file can spoil a whole request. Then each half is sent alone, down to the one that is refused."""
        if len(files) == 1:
            self.settle_all(files, REFUSED, *refusal(response))
            return
        self.deliver(files[: len(files) // 2])
        self.deliver(files[len(files) // 2 :])

    def judge(self, file: File, item: dict[str, Any]) -> bool:
        """Note what an item of the answer says of a file; True when it is worth sending again."""
        reason, uid = value(item, "00081197"), str(value(item, "00081155"))
        comments = "; ".join(comments_of(item))
        if reason in {BEING_STORED, NOT_PROCESSED}:
            return True
        with self.lock:
            first = uid not in self.stored_uids
            if reason is None or file.unsure:
                self.stored_uids.add(uid)
        if reason is None and value(item, "00081196") is None:
            self.settle_all([file], STORED)
        elif reason is None:
            advice = "correct it where it came from, if you want to search for it"
            self.settle_all([file], WARNED, comments or f"WarningReason {value(item, '00081196')}", advice)
        elif reason == ALREADY_STORED and file.unsure and first:
            self.settle_all([file], STORED, "by an earlier request, whose answer was lost")
        elif reason == ALREADY_STORED:
            self.settle_all([file], THERE, "the stored one was not touched")
        else:
            self.settle_all([file], REFUSED, *why_refused(item, reason, comments))
        return False

    def settle_all(self, files: Sequence[File], status: str, reason: str = "", advice: str = "") -> None:
        self.note(file.entry(status, reason) for file in files)
        with self.lock:
            self.bytes_settled += sum(file.size for file in files)
            for file in files:
                self.results[file.name] = file.result(status, reason, advice)

    def give_up(self, refused: tuple[str, str]) -> None:
        self.fatal = Result("", None, FAILED, *refused)
        self.stop.set()

    def note(self, entries: Iterable[dict[str, Any]]) -> None:
        if self.journal:
            self.journal.write(entries)


class FileTrouble(Exception):
    """A file could not be read while it was being sent."""


class WatchedBody:
    """The body of one batch. It ends the request when everything is to stop, and says that a file was the trouble:
    requests would take an OSError for a broken connection.

    It cannot be read like a file: urllib3 sends a file in small blocks, and what it iterates over as it comes.
    """

    def __init__(self, files: Sequence[File], upload: Upload) -> None:
        self._stop = upload.stop
        try:
            self._stream = MultipartRelatedStream([file.path for file in files])
        except OSError as problem:
            raise FileTrouble from problem
        self.content_type = self._stream.content_type
        self.tell, self.seek = self._stream.tell, self._stream.seek

    def __len__(self) -> int:
        return len(self._stream)

    def __iter__(self) -> Iterator[bytes | memoryview]:
        while self.tell() < len(self):
            if self._stop.is_set():
                raise Stopped  # the server keeps nothing of half a body; the answer to a whole one is waited for
            try:
                piece = next(self._stream)
            except (OSError, MultipartError) as problem:
                raise FileTrouble from problem
            yield piece


def name_below(top: Path, path: Path) -> str:
    return path.relative_to(top).as_posix()


def looks_like_dicom(path: Path) -> bool:
    """Whether the first bytes are those of a DICOM file, with or without preamble (PS3.10 §7.1)."""
    with path.open("rb") as file:
        start = file.read(132)
    return start[128:] == b"DICM" or start[:2] in (b"\x02\x00", b"\x08\x00")


def batches(files: Iterable[File], most_bytes: int, most_files: int) -> Iterator[list[File]]:
    """The files in order, in groups that keep both limits; a file that is bigger goes alone."""
    batch: list[File] = []
    for file in files:
        if batch and (len(batch) == most_files or sum(each.size for each in batch) + file.size > most_bytes):
            yield batch
            batch = []
        batch.append(file)
    if batch:
        yield batch


def told_of(files: Sequence[File], answer: dict[str, Any]) -> tuple[dict[File, dict[str, Any]], list[File]]:
    """Which item of a STOW-RS answer is about which file, and the files that no item can be tied to.

    An item names its instance by UID, so headers are read, but only where the answer differs from file to file. The
    server cannot name a file that it could not read: those are found by elimination.
    """
    stored, failed = items_of(answer, "00081199"), items_of(answer, "00081198")
    if len(files) == 1 and stored + failed:
        return {files[0]: (failed or stored)[0]}, []
    if len(stored) == len(files) and not any("00081196" in item for item in stored):
        return dict(zip(files, stored, strict=True)), []
    by_uid: dict[str, deque[dict[str, Any]]] = defaultdict(deque)
    for item in stored + failed:  # of two files with one UID, the first was stored and the second was not
        by_uid[str(value(item, "00081155") or "")].append(item)
    nameless = by_uid.pop("", deque())
    uids = {file: sop_instance_uid(file.path) for file in files}
    twins = {uid for uid, count in Counter(uids.values()).items() if uid and count > max(1, len(by_uid[uid]))}
    told: dict[File, dict[str, Any]] = {}
    untold = []
    for file, uid in uids.items():
        # Of twins that have too few items, which one could not be read? Only asking one by one can tell.
        if uid and uid not in twins and by_uid[uid]:
            told[file] = by_uid[uid].popleft()
        else:
            untold.append(file)
    if len(untold) == len(nameless):
        return told | dict(zip(untold, nameless, strict=True)), []
    return told, untold


def sop_instance_uid(path: str | Path) -> str | None:
    """The SOPInstanceUID in a file, of which the header alone is read; None when there is none to be found."""
    return header(path).get("SOPInstanceUID")


def header(path: str | Path) -> dict[str, str]:
    """The UIDs of the instance and its series, by keyword, as far as they can be read."""
    keywords = ["SOPInstanceUID", "SeriesInstanceUID"]
    try:
        ds = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=keywords, force=True)
        # As it was read: pydicom would warn of odd values, on the screen, from another thread.
        found = {keyword: ds.get_item(keyword) for keyword in keywords}
        return {keyword: as_text(element.value) for keyword, element in found.items() if element and element.value}
    except Exception:  # pydicom has no common parent for what it raises when it meets a damaged file
        return {}


def as_text(value: Any) -> str:
    return (value.decode("latin-1") if isinstance(value, bytes) else str(value)).strip("\0 ")


def data_set(response: requests.Response) -> dict[str, Any] | None:
    """The DICOM JSON object in an answer, None when there is none."""
    try:
        answer = response.json()
    except ValueError:
        return None
    return answer if isinstance(answer, dict) and ("00081199" in answer or "00081198" in answer) else None


def items_of(item: dict[str, Any], tag: str) -> list[dict[str, Any]]:
    return item.get(tag, {}).get("Value", [])


def value(item: dict[str, Any], tag: str) -> Any:
    return next(iter(items_of(item, tag)), None)


def comments_of(item: dict[str, Any]) -> list[str]:
    """The sentences in FailedAttributesSequence, without the number that they begin with."""
    texts = [str(value(each, "00000902")) for each in items_of(item, "00741048")]
    return [re.sub(r"^DICOM\d+: ", "", text) for text in texts]


def why_refused(item: dict[str, Any], reason: int, comments: str) -> tuple[str, str]:
    """Reason and advice for an instance that failed."""
    if reason == OTHER_STUDY or "does not match the specified StudyInstanceUid" in comments:
        return f"it belongs to another study ({reason})", "sort it to its own study, or upload without study_uid"
    if reason == INVALID and value(item, "00081155") is None:
        return f"the server could not read it ({reason})", "get the file again: it is cut off, or damaged"
    if comments:
        return f"{comments} ({reason})", "correct the attribute where the file came from"
    return f"FailureReason {reason}", "look the number up in PS3.4 §B.2.3 and in the service's conformance statement"


def refusal(response: requests.Response) -> tuple[str, str]:
    """Reason and advice for a whole request that was refused."""
    status, text = response.status_code, " ".join(response.text[:200].split())
    advice = {
        401: "sign in again: the service does not take the token",
        403: "ask for the role DICOM Data Owner",
        404: "check base_url: there is no such path, or partition, on this server",
        413: "the file is bigger than the service takes: it cannot be stored there",
    }.get(status, "look at the file with dcmdump or pydicom; if others fail like this, look at the request")
    return f"{status} {response.reason}{f': {text}' if text else ''}", advice


# ----------------------------------------------------------------------------------------------------------- download


@dataclass(frozen=True)
class Instance:
    """An instance that the study has, as its metadata says."""

    series: str
    uid: str


def download_study(
    client: requests.Session,
    base_url: str,
    study_uid: str,
    folder: str | os.PathLike[str],
    *,
    concurrency: int = 4,
    attempts: int = 5,
    first_wait: float = 0.5,
    progress: bool = True,
) -> DownloadReport:
    """Fetch all instances of a study into `folder`, each as `SOPInstanceUID.dcm`, in its own transfer syntax.

    The study comes as one stream, and each part goes to disk while it arrives: memory stays flat. A file gets its name
    when it is whole, from the UID inside it; until then it is hidden. When the stream breaks, only what is missing is
    fetched, instance by instance, `concurrency` at a time; a second call does the same. What is there at the end is
    compared with the study's metadata. Repeats as in upload_folder.

    Use a folder for one call at a time: what an interrupted call has left half done is removed.

    Raises TransferError when the study is not there, or its metadata cannot be had.

    For example, as in lesson 15, `report = download_study(client, base_url, study_uid, "study")`, and `print(report)`:

        3 files: 3 fetched · 2 requests
    """
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    for leftover in target.glob(f"{HALF[0]}*{HALF[1]}"):
        leftover.unlink()
    download = Download(client, f"{base_url}/studies/{study_uid}", target, concurrency, attempts, first_wait)
    return download.run_all(progress)


HALF = (".transfer-", ".part")  # how the name of a file begins and ends that is not whole yet


class Download(Workers):
    """One call of download_study."""

    def __init__(
        self, client: requests.Session, url: str, folder: Path, concurrency: int, attempts: int, wait: float
    ) -> None:
        super().__init__(client, concurrency, attempts, wait)
        self.url, self.folder = url, folder
        self.expected: list[Instance] = []
        self.results: dict[Instance, Result] = {}
        self.size = 0

    def run_all(self, progress: bool) -> DownloadReport:
        start = time.monotonic()
        self.expected = self.instances()
        for instance in self.expected:
            path = self.path_of(instance)
            if path.exists() and header(path).get("SOPInstanceUID") == instance.uid:
                self.results[instance] = Result(path.name, path, THERE)
        options = bar_options(progress, None, f"{len(self.expected):,} instances")
        if not self.results:
            self.run(self.fetch_whole, [None], self.look, options)
        if missing := [instance for instance in self.expected if instance not in self.results]:
            self.run(self.fetch_one, missing, self.look, options | {"initial": self.size})
        extra = [instance for instance in self.results if instance not in self.expected]  # stored in the meantime
        results = [self.results[instance] for instance in self.expected + extra]
        return DownloadReport(results, self.requests, self.repeats, time.monotonic() - start, self.size)

    def look(self, bar: tqdm) -> None:
        bar.n = self.size

    def instances(self) -> list[Instance]:
        """What the study holds. Raises TransferError."""
        attempt = 1
        while True:
            try:
                response = self.get(f"{self.url}/metadata", DICOM_JSON)
                with closing(response):
                    if response.status_code == 200:
                        rows = response.json()
                        return [Instance(value(row, "0020000E"), value(row, "00080018")) for row in rows]
                    why, retry_after = f"{response.status_code} {response.reason}", response.headers.get("Retry-After")
                    if response.status_code not in WORTH_REPEATING:
                        raise TransferError(f"the study cannot be had: {why}. {response.text[:200]}")
            except (*BROKEN_CONNECTION, ValueError) as problem:
                why, retry_after = f"the connection broke ({type(problem).__name__})", None
            if not self.wait_before_next(attempt, retry_after):
                raise TransferError(f"the metadata cannot be had: {why}, {how_often(attempt)}. Run it again later.")
            attempt += 1

    def get(self, url: str, accept: str) -> requests.Response:
        self.count_request()
        return self.session.get(url, headers={"Accept": accept}, stream=True, timeout=TIMEOUT)

    def fetch_whole(self, _: None) -> None:
        """The study as one stream. What does not come is left to fetch_one."""
        attempt = 1
        while True:
            try:
                with closing(self.get(self.url, ALL_PARTS)) as response:
                    if response.status_code not in WORTH_REPEATING:
                        if response.status_code == 200:
                            self.save_parts(response)
                        return
                    retry_after = response.headers.get("Retry-After")
            except (*BROKEN_CONNECTION, MultipartError):
                if self.results:
                    return  # what came whole is kept
                retry_after = None
            if not self.wait_before_next(attempt, retry_after):
                return
            attempt += 1

    def fetch_one(self, instance: Instance) -> None:
        attempt = 1
        while True:
            retry_after = None
            try:
                url = f"{self.url}/series/{instance.series}/instances/{instance.uid}"
                with closing(self.get(url, ALL_PARTS)) as response:
                    why, retry_after = f"{response.status_code} {response.reason}", response.headers.get("Retry-After")
                    if response.status_code == 200:
                        self.save_parts(response)
                        why = "the server sent another instance"
                    elif response.status_code not in WORTH_REPEATING:
                        self.fail(instance, why, "it was deleted meanwhile" if response.status_code == 404 else "")
                        return
            except (*BROKEN_CONNECTION, MultipartError) as problem:
                why = f"the connection broke ({type(problem).__name__})"
            if instance in self.results:
                return
            if not self.wait_before_next(attempt, retry_after):
                self.fail(instance, f"{why}, {how_often(attempt)}")
                return
            attempt += 1

    def fail(self, instance: Instance, why: str, advice: str = "") -> None:
        with self.lock:
            self.results[instance] = Result(
                self.path_of(instance).name, None, FAILED, why, advice or "run it again: it fetches what is missing"
            )

    # Files

    def save_parts(self, response: requests.Response) -> None:
        """Each part to a file of its own. Raises MultipartError when the body ends early; whole parts are kept."""
        for part in iter_parts(response):
            half = tempfile.NamedTemporaryFile(dir=self.folder, prefix=HALF[0], suffix=HALF[1], delete=False)
            try:
                with half:
                    self.save(part, half)
                self.take(Path(half.name))
            finally:
                Path(half.name).unlink(missing_ok=True)

    def save(self, part: Part, file: Any) -> None:
        for piece in part.iter_content():
            if self.stop.is_set():
                raise Stopped
            file.write(piece)
            with self.lock:
                self.size += len(piece)

    def take(self, half: Path) -> None:
        """Give a whole file its name; the UIDs that it is made of come from the file and hold digits and dots only."""
        uids = header(half)
        instance = Instance(uids.get("SeriesInstanceUID", ""), uids.get("SOPInstanceUID", ""))
        if not all(re.fullmatch(r"\d[\d.]{0,63}", uid, re.ASCII) for uid in (instance.series, instance.uid)):
            return  # no instance, or none that a file may be named by: what was asked for counts as missing
        path = self.path_of(instance)
        half.chmod(0o666 & ~umask())
        half.replace(path)
        with self.lock:
            self.results[instance] = Result(path.name, path, FETCHED)

    def path_of(self, instance: Instance) -> Path:
        """Named by its UID alone, unless the study has that UID in another series too, as Azure allows."""
        twins = sum(other.uid == instance.uid for other in self.expected)
        return self.folder / (f"{instance.uid}.dcm" if twins < 2 else f"{instance.uid}-{instance.series}.dcm")


def umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
