"""Rounds of storing, deleting and changing, each ended by SIGKILL, and what must be true after the restart.

By hand, as long as you like:  python -m tests.emulator.crash --rounds 200
"""

import argparse
import hashlib
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import requests
from pydicom.uid import generate_uid

from tests.emulator.conftest import session
from tests.emulator.dicom_files import multipart, raw_instance, split_multipart
from tests.emulator.operations import end_of, person, tag

REPOSITORY = Path(__file__).parents[2]
JSON = {"Accept": "application/dicom+json"}
AS_STORED = {"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'}
ORIGINAL = {"msdicom-request-original": "true"}
CLIENTS = 4
PAGE = 200
AGE = "030Y"  # PatientAge of every instance, by which they are searched once it is an extended query tag
THERE, GONE = "there", "gone"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@dataclass
class Known:
    """What the clients know of one instance. `may_be`: what it may be found to be after a crash."""

    study: str
    series: str
    sop: str
    file: bytes
    created: bool = False  # its store was acknowledged, or it was found
    may_be: set[str] = field(default_factory=lambda: {THERE, GONE})
    now: str = ""  # sha256 of the current version, where a bulk update has made another

    @classmethod
    def new(cls, study: str, dice: random.Random) -> "Known":
        series, sop = generate_uid(), generate_uid()
        given = {"StudyInstanceUID": study, "SeriesInstanceUID": series, "SOPInstanceUID": sop, "PatientAge": AGE}
        pixels = ("OB", dice.randbytes(2 * dice.randrange(5000)))
        values = {keyword: value.encode() for keyword, value in given.items()}
        return cls(study, series, sop, raw_instance(values | {"PixelData": pixels}))

    @property
    def url(self) -> str:
        return f"studies/{self.study}/series/{self.series}/instances/{self.sop}"

    def settle(self, found: str) -> None:
        """So it is, and so it has to stay."""
        self.created |= found == THERE
        self.may_be = {found}


class Emulator:
    """`python -m dicom_emulator` on one folder, started again and again."""

    def __init__(self, folder: Path, *program: str):
        """program: what Python is told to run instead of `-m dicom_emulator`."""
        self.folder = folder
        self.log = folder.with_suffix(".log")
        self._command = [sys.executable, *(program or ("-m", "dicom_emulator"))]
        self._command += ["--port", "0", "--no-auth", "--data-dir", str(folder)]
        self.process: subprocess.Popen[str] | None = None
        self.url = ""

    def spawn(self) -> subprocess.Popen[str]:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command, cwd=REPOSITORY, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log
            )
        return self.process

    def start(self) -> None:
        """Start, and wait until requests are served."""
        stdout = self.spawn().stdout
        assert stdout
        line = stdout.readline()
        assert line.startswith("DICOM service emulator ready at "), self.log.read_text("utf-8")[-2000:]
        self.url = line.split()[-1] + "/v2"

    def kill(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()
            if self.process.stdout:
                self.process.stdout.close()


class Campaign:
    """Round by round; `lost` and `torn` say what is wrong."""

    def __init__(self, folder: Path, seed: int):
        self.seed = seed
        self.dice = random.Random(seed)
        self.emulator = Emulator(folder)
        self.client = session()
        self.known: dict[str, Known] = {}
        self.of_client: list[list[Known]] = [[] for _ in range(CLIENTS)]
        self.updates: dict[str, list[Known]] = {}  # studies that are changed in bulk
        self.accepted: list[str] = []  # operations that were accepted and not yet seen at their end
        self.events: list[tuple[str, str]] = []  # SOP instance UID and action, in the order of the change feed
        self.touched: set[str] = set()
        self.counts: Counter[str] = Counter()
        self.lost: list[str] = []
        self.torn: list[str] = []

    def __str__(self) -> str:
        names = ("rounds", "killed at start", "stores acknowledged", "stores unanswered", "deletes acknowledged",
                 "deletes unanswered", "operations accepted")  # fmt: skip
        said = [f"{self.counts[name]} {name}" for name in names]
        return f"crash, seed {self.seed}: {', '.join(said)}; {len(self.lost)} lost, {len(self.torn)} torn"

    def run(self, rounds: int) -> None:
        """Stops at the first round in which something is wrong."""
        try:
            for _ in range(rounds):
                self.emulator.start()
                self.check(self.touched)
                if self.lost or self.torn:
                    return
                self.load(self.dice.uniform(0.02, 0.45))
                self.counts["rounds"] += 1
                if self.dice.random() < 0.25:
                    self.emulator.spawn()
                    time.sleep(self.dice.uniform(0.2, 0.9))
                    self.emulator.kill()
                    self.counts["killed at start"] += 1
            self.emulator.start()
            seen, self.events = self.events, []
            self.check({known.study for known in self.known.values()})
            self.report(self.torn, self.events[: len(seen)] != seen, "the change feed has changed afterwards")
        finally:
            self.emulator.kill()

    def report(self, problems: list[str], wrong: bool, text: str) -> None:
        if wrong:
            problems.append(text)

    # What goes on when the server is killed

    def load(self, seconds: float) -> None:
        """Four clients that store and delete, and one that starts operations, until the server dies."""
        targets = [self.operate]
        for client in range(CLIENTS):
            dice = random.Random(self.dice.random())
            targets.append(lambda client=client, dice=dice: self.store_and_delete(self.of_client[client], dice))
        threads = [threading.Thread(target=self.until_the_end, args=[target]) for target in targets]
        for thread in threads:
            thread.start()
        time.sleep(seconds)
        self.emulator.kill()
        for thread in threads:
            thread.join()

    def until_the_end(self, target: Callable[[], None]) -> None:
        try:
            target()
        except requests.RequestException:
            pass  # killed: what was asked for last has no answer
        except Exception as error:
            self.torn.append(f"an answer that nobody expects: {error!r}")

    def store_and_delete(self, mine: list[Known], dice: random.Random) -> None:
        client, study = session(), generate_uid()
        while True:
            deletable = [known for known in mine if known.may_be == {THERE}]
            if deletable and dice.random() < 0.2:
                self.delete(client, dice.choice(deletable))
            else:
                new = [Known.new(study, dice) for _ in range(dice.choice([1, 1, 1, 3]))]
                mine.extend(new)
                self.store(client, new)

    def store(self, client: requests.Session, new: list[Known]) -> None:
        self.known |= {known.sop: known for known in new}
        self.touched.add(new[0].study)
        self.counts["stores unanswered"] += len(new)
        body, content_type = multipart(*(known.file for known in new))
        headers = JSON | {"Content-Type": content_type}
        response = client.post(f"{self.emulator.url}/studies", data=body, headers=headers, timeout=60)
        self.report(self.torn, response.status_code != 200, f"a store is answered with {response.status_code}")
        for item in response.json()["00081199"]["Value"]:
            self.known[item["00081155"]["Value"][0]].settle(THERE)
        self.counts["stores unanswered"] -= len(new)
        self.counts["stores acknowledged"] += len(new)

    def delete(self, client: requests.Session, known: Known) -> None:
        known.may_be = {THERE, GONE}
        self.touched.add(known.study)
        self.counts["deletes unanswered"] += 1
        response = client.delete(f"{self.emulator.url}/{known.url}", timeout=60)
        self.report(self.torn, response.status_code != 204, f"a delete is answered with {response.status_code}")
        known.settle(GONE)
        self.counts["deletes unanswered"] -= 1
        self.counts["deletes acknowledged"] += 1

    def operate(self) -> None:
        """A re-index, and the bulk update of a study."""
        client, study = session(), generate_uid()
        self.accept(client.post(f"{self.emulator.url}/extendedquerytags", json=[tag("PatientAge")], timeout=60))
        new = [Known.new(study, random.Random(study)) for _ in range(6)]
        self.store(client, new)
        self.updates[study] = new
        body = {"studyInstanceUids": [study], "changeDataset": person("New^Name")}
        self.accept(client.post(f"{self.emulator.url}/studies/$bulkUpdate", json=body, timeout=60))
        self.counts["updates accepted"] += 1
        for known in new:
            known.now = "to be made"

    def accept(self, response: requests.Response) -> None:
        self.report(self.torn, response.status_code != 202, f"an operation is answered with {response.text}")
        self.accepted.append(response.json()["id"])
        self.counts["operations accepted"] += 1

    # What must be true after it

    def get(self, path: str, **headers: str) -> requests.Response:
        return self.client.get(f"{self.emulator.url}/{path}", headers=headers or JSON, timeout=60)

    def check(self, studies: set[str]) -> None:
        self.touched = set()
        self.client.close()  # the server behind its connections is dead
        for id in self.accepted:
            operation = end_of(self.client, f"{self.emulator.url}/operations/{id}")
            self.report(self.torn, operation["status"] != "succeeded", f"an operation has ended as {operation}")
        self.accepted.clear()
        tagged = self.finish_tag()
        members = {study: [known for known in self.known.values() if known.study == study] for study in studies}
        for study in studies:
            (self.check_updated if study in self.updates else self.check_study)(study, members[study])
        self.read_change_feed()
        while late := [study for study in studies & self.updates.keys() if self.updated_since(study, members[study])]:
            for study in late:
                self.check_updated(study, members[study])
            self.read_change_feed()
        actions: dict[str, list[str]] = {}
        for sop, action in self.events:
            actions.setdefault(sop, []).append(action)
        for study in studies:
            self.check_views(study, members[study], tagged)
            for known in members[study]:
                self.check_events(known, actions.get(known.sop, []))
        self.check_files()
        if tagged:  # so that the next round may add it
            self.client.delete(f"{self.emulator.url}/extendedquerytags/PatientAge", timeout=60)

    def finish_tag(self) -> bool:
        """Whether the extended query tag is there, which then is ready."""
        response = self.get("extendedquerytags/PatientAge")
        while response.status_code == 200 and response.json()["status"] != "ready":
            time.sleep(0.02)
            response = self.get("extendedquerytags/PatientAge")
        return response.status_code == 200

    def read_change_feed(self) -> None:
        """The events that have come since the last time."""
        while page := self.get(f"changefeed?limit={PAGE}&offset={len(self.events)}&includeMetadata=false").json():
            self.events += [(event["sopInstanceUid"], event["action"]) for event in page]

    def files_of(self, study: str, **headers: str) -> list[str]:
        """sha256 of each file of the study."""
        response = self.get(f"studies/{study}", **AS_STORED, **headers)
        if response.status_code == 200:
            return [sha256(body) for _, body in split_multipart(response)]
        status = response.status_code
        self.report(self.torn, status != 404, f"study {study} is found, and its files are answered with {status}")
        return []

    def check_study(self, study: str, members: list[Known]) -> None:
        """Each instance is there, to the last bit, or it is not; and no other than those that were sent."""
        found = Counter(self.files_of(study))
        for known in members:
            is_there = found[sha256(known.file)] == 1
            state = THERE if is_there else GONE
            problems = self.lost if known.may_be == {THERE} else self.torn
            self.report(problems, state not in known.may_be, f"{known.sop} is {state}, must be {known.may_be}")
            known.settle(state)
        sent = Counter(sha256(known.file) for known in members)
        self.report(self.torn, bool(found - sent), f"{found - sent} of study {study} was never sent")

    def check_updated(self, study: str, members: list[Known]) -> None:
        """All instances have their new version or none; and the first version of each is kept to the last bit."""
        before, now, after = ["?"], [], ["!"]
        while before != after:  # an update that nobody waits for may be at work
            before, now, after = self.names_of(study), self.files_of(study), self.names_of(study)
        self.report(self.torn, len(set(after)) != 1, f"study {study} is half updated: {after}")
        sent = Counter(sha256(known.file) for known in members)
        self.report(self.lost, Counter(self.files_of(study, **ORIGINAL)) != sent, f"first versions of {study} are gone")
        updated = after[0] == "New^Name"
        promised = any(known.now for known in members)
        self.report(self.lost, promised and not updated, f"an accepted update of {study} is not done")
        self.report(self.torn, updated == (Counter(now) == sent), f"files of {study} are not those of its metadata")
        for known, current in zip(members, now, strict=False):  # where some are gone, that was reported above
            known.now = current if updated else ""
            known.settle(THERE)

    def updated_since(self, study: str, members: list[Known]) -> bool:
        """Whether an update that nobody waits for, as its answer did not come, was done after the study was checked."""
        return self.names_of(study)[0] == "New^Name" and not any(known.now for known in members)

    def names_of(self, study: str) -> list[str]:
        return [each["00100010"]["Value"][0]["Alphabetic"] for each in self.get(f"studies/{study}/metadata").json()]

    def check_views(self, study: str, members: list[Known], tagged: bool) -> None:
        """Metadata and search speak of the instances that are there, and of no others."""
        expected = {known.sop for known in members if known.may_be == {THERE}}
        searches = [f"instances?StudyInstanceUID={study}&limit={PAGE}", f"studies/{study}/instances?limit={PAGE}"]
        if tagged:
            searches.append(f"studies/{study}/instances?PatientAge={AGE}&limit={PAGE}")
        for path in [f"studies/{study}/metadata", *searches]:
            response = self.get(path)
            rows = response.json() if response.status_code == 200 else []
            found = [row["00080018"]["Value"][0] for row in rows]
            self.report(self.torn, sorted(found) != sorted(expected), f"{path}: {found}, not {expected}")
        response = self.get(f"studies?StudyInstanceUID={study}")
        self.report(self.torn, (response.status_code == 200) != bool(expected), f"study {study} without instances")

    def check_events(self, known: Known, actions: list[str]) -> None:
        expected = ["Create"] if known.created else []
        if known.created and known.may_be == {GONE}:
            expected.append("Delete")
        if known.now:
            expected.append("Update")
        self.report(self.torn, actions != expected, f"change feed of {known.sop}: {actions}, not {expected}")

    def check_files(self) -> None:
        """No file in the data folder but those of the instances that are there."""
        expected: Counter[str] = Counter()
        for known in self.known.values():
            if known.may_be == {THERE}:
                expected.update([sha256(known.file)] + [known.now] * bool(known.now))
        deadline = time.monotonic() + 5
        while (found := self.files()) != expected and time.monotonic() < deadline:
            time.sleep(0.1)
        self.report(self.torn, bool(found - expected), f"{(found - expected).total()} files are left over")
        self.report(self.lost, bool(expected - found), f"{(expected - found).total()} files are gone from the folder")

    def files(self) -> Counter[str]:
        kept = [path for path in self.emulator.folder.rglob("*") if path.is_file()]
        return Counter(sha256(path.read_bytes()) for path in kept if not path.name.startswith(("index.db", "lock.db")))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4)))
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        campaign = Campaign(Path(folder) / "data", given.seed)
        campaign.run(given.rounds)
    print(campaign, *campaign.lost, *campaign.torn, sep="\n")
    return bool(campaign.lost or campaign.torn)


if __name__ == "__main__":
    sys.exit(main())
