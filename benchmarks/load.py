"""Many clients at once that store, retrieve, search and delete, and compare every byte and row with what they stored.

    .venv/bin/python benchmarks/load.py --clients 64 --seconds 60

It starts an emulator of its own, on 127.0.0.1, with sign-in. The exit code is 1 if any answer was a 5xx, was wrong, or
did not come; and if afterwards the archive is not what the answers said.
"""

import argparse
import contextlib
import http.client
import json
import random
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import psutil

ROOT = Path(__file__).parents[1]
AUDIENCE = "https://dicom.healthcareapis.azure.com"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
SIZES = (2_000, 2_000, 60_000, 500_000)  # bytes of pixels, each as likely as the others
MOST_KEPT = 15  # instances of one client, so that the archive stays of one size
CONTESTED = 8  # instances that all clients store and delete
PATIENCE = 120  # seconds after which a client takes an answer for lost
NONE: Mapping[str, str] = {}
NOISE = random.Random(0).randbytes(2 * max(SIZES))


class Instance:
    """A file that can be made again from its UIDs."""

    def __init__(self, study: str, series: str, uid: str, size: int):
        self.study, self.series, self.uid, self.size = study, series, uid, size

    @property
    def path(self) -> str:
        return f"/v2/studies/{self.study}/series/{self.series}/instances/{self.uid}"

    def content(self) -> bytes:
        start = int(self.uid.rsplit(".", 1)[1]) % max(SIZES)
        data_set = b"".join(
            element(tag, vr, value)
            for tag, vr, value in (
                (0x00080016, b"UI", SECONDARY_CAPTURE.encode()),
                (0x00080018, b"UI", self.uid.encode()),
                (0x00080060, b"CS", b"OT"),
                (0x00100010, b"PN", b"Load^Test"),
                (0x00100020, b"LO", b"LOAD"),
                (0x0020000D, b"UI", self.study.encode()),
                (0x0020000E, b"UI", self.series.encode()),
                (0x7FE00010, b"OB", NOISE[start : start + self.size]),
            )
        )
        meta = element(0x00020002, b"UI", SECONDARY_CAPTURE.encode())
        meta += element(0x00020003, b"UI", self.uid.encode()) + element(0x00020010, b"UI", b"1.2.840.10008.1.2.1")
        return bytes(128) + b"DICM" + element(0x00020000, b"UL", struct.pack("<I", len(meta))) + meta + data_set


def element(tag: int, vr: bytes, value: bytes) -> bytes:
    """A data element in Explicit VR Little Endian (PS3.5 §7.1.2)."""
    value += (b"\0" if vr in {b"UI", b"OB"} else b" ") * (len(value) % 2)
    length = struct.pack("<HI", 0, len(value)) if vr == b"OB" else struct.pack("<H", len(value))
    return struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr + length + value


@dataclass
class Report:
    """What the clients saw. `wrong` has a sentence for everything that should not have been."""

    seconds: float = 0
    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)
    latencies: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    answers: Counter[int] = field(default_factory=Counter)  # by the second in which they came
    bytes: int = 0  # both ways
    wrong: list[str] = field(default_factory=list)
    kept: dict[str, Instance] = field(default_factory=dict)  # acknowledged and not deleted
    deleted: set[str] = field(default_factory=set)

    def kinds(self) -> dict[str, int]:
        found: Counter[str] = Counter()
        for (kind, _), count in self.statuses.items():
            found[kind] += count
        return dict(found)


class Connection:
    """One client's connection, which notes each answer in the report. Made again after it broke."""

    def __init__(self, url: str, report: Report):
        self.address, self.report = urlsplit(url).netloc, report
        self.http = http.client.HTTPConnection(self.address, timeout=PATIENCE)
        self.started = time.monotonic()
        self.authorization: dict[str, str] = {}
        owner = {"X-IDENTITY-HEADER": "owner"}
        _, token, _ = self.ask("token", f"/_emulator/identity/token?resource={AUDIENCE}", headers=owner)
        self.authorization = {"Authorization": f"Bearer {json.loads(token)['access_token']}"}

    def ask(
        self, kind: str, path: str, method: str = "GET", body: bytes = b"", headers: Mapping[str, str] = NONE
    ) -> tuple[int, bytes, str]:
        """Status, body and Content-Type of the answer; status 0 if none came."""
        began = time.monotonic()
        try:
            self.http.request(method, path, body, self.authorization | headers)
            response = self.http.getresponse()
            answer = response.status, response.read(), response.headers.get("Content-Type", "")
        except (OSError, http.client.HTTPException) as error:
            self.http.close()
            answer = 0, repr(error).encode(), ""
        ended = time.monotonic()
        report = self.report
        report.statuses[kind, answer[0]] += 1
        report.latencies[kind].append(ended - began)
        report.answers[int(ended - self.started)] += 1
        report.bytes += len(body) + len(answer[1])
        if answer[0] == 0 or answer[0] >= 500:
            report.wrong.append(f"{kind}: {answer[0]} {answer[1][:200]!r}")
        return answer


class Client(threading.Thread):
    """Does one thing after another to studies of its own, whose state it knows, and to instances that all have."""

    def __init__(self, url: str, number: int, seed: int, contested: list[Instance], until: float):
        super().__init__(name=f"client {number}", daemon=True)
        self.report = Report()
        self.connection = Connection(url, self.report)
        self.random = random.Random(f"{seed} {number}")
        self.contested, self.until = contested, until
        self.root, self.count = f"1.2.826.0.1.{seed}.{number + 1}", 0
        self.kept: dict[str, Instance] = {}

    def run(self) -> None:
        deeds = {self.store: 8, self.retrieve: 8, self.retrieve_study: 2, self.metadata: 2, self.search: 5}
        deeds |= {self.search_page: 1, self.delete: 3, self.contest: 3}
        while time.monotonic() < self.until:
            if len(self.kept) > MOST_KEPT:
                self.delete()
            else:
                self.random.choices(list(deeds), list(deeds.values()))[0]()
        self.report.kept = self.kept

    def expect(self, is_right: bool, what: str, answer: tuple[int, bytes, str]) -> None:
        if not is_right:
            self.report.wrong.append(f"{what}: {answer[0]}, {len(answer[1])} bytes, {answer[1][:100]!r}")

    def some(self) -> Instance | None:
        return self.random.choice(list(self.kept.values())) if self.kept else None

    def store(self) -> None:
        """One to three instances of one series."""
        study = self.some().study if self.kept and self.random.random() < 0.5 else f"{self.root}.{self.count}"
        new = []
        for _ in range(self.random.randint(1, 3)):
            self.count += 1
            size = self.random.choice(SIZES)
            new.append(Instance(study, f"{study}.1", f"{study}.1.{self.count}", size))
        answer = self.connection.ask("store", "/v2/studies", "POST", *multipart(new))
        self.expect(answer[0] == 200, "store", answer)
        if answer[0] == 200:
            items = json.loads(answer[1])["00081199"]["Value"]
            acknowledged = {item["00081155"]["Value"][0] for item in items}
            self.expect(acknowledged == {instance.uid for instance in new}, "acknowledged", answer)
            self.kept |= {instance.uid: instance for instance in new if instance.uid in acknowledged}

    def retrieve(self) -> None:
        if instance := self.some():
            answer = get_instance(self.connection, "retrieve", instance)
            self.expect(answer[:2] == (200, instance.content()), f"retrieve {instance.uid}", answer)

    def retrieve_study(self) -> None:
        if instance := self.some():
            accept = {"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'}
            answer = self.connection.ask("study", f"/v2/studies/{instance.study}", headers=accept)
            expected = sorted(each.content() for each in self.kept.values() if each.study == instance.study)
            right = answer[0] == 200 and sorted(parts_of(*answer[1:])) == expected
            self.expect(right, f"study of {len(expected)}", answer)

    def metadata(self) -> None:
        if instance := self.some():
            answer = self.connection.ask("metadata", f"/v2/studies/{instance.study}/metadata", headers=JSON)
            self.expect(answer[0] == 200 and uids_in(answer[1]) == self.in_study(instance.study), "metadata", answer)

    def search(self) -> None:
        if instance := self.some():
            path = f"/v2/instances?StudyInstanceUID={instance.study}"
            answer = self.connection.ask("search", path, headers=JSON)
            self.expect(answer[0] == 200 and uids_in(answer[1]) == self.in_study(instance.study), "search", answer)

    def search_page(self) -> None:
        answer = self.connection.ask("search page", "/v2/studies?PatientID=LOAD&limit=50&offset=10", headers=JSON)
        self.expect(answer[0] in {200, 204}, "search page", answer)

    def delete(self) -> None:
        """An instance; seldom a study."""
        if instance := self.some():
            whole = self.random.random() < 0.1
            gone = self.in_study(instance.study) if whole else {instance.uid}
            path = f"/v2/studies/{instance.study}" if whole else instance.path
            answer = self.connection.ask("delete", path, "DELETE")
            self.expect(answer[0] == 204, "delete", answer)
            for uid in gone if answer[0] == 204 else ():
                del self.kept[uid]
                self.report.deleted.add(uid)
            answer = get_instance(self.connection, "retrieve deleted", instance)
            self.expect(answer[0] == 404, f"deleted {instance.uid}", answer)

    def contest(self) -> None:
        """What all clients do to the same instances: the last word has whoever comes last."""
        instance = self.random.choice(self.contested)
        deed = self.random.choice(["store", "retrieve", "delete"])
        if deed == "store":
            answer = self.connection.ask("contested store", "/v2/studies", "POST", *multipart([instance]))
            self.expect(answer[0] in {200, 409}, "contested store", answer)
        elif deed == "delete":
            answer = self.connection.ask("contested delete", instance.path, "DELETE")
            self.expect(answer[0] in {204, 404}, "contested delete", answer)
        else:
            answer = get_instance(self.connection, "contested retrieve", instance)
            self.expect(answer[0] == 404 or answer[:2] == (200, instance.content()), "contested retrieve", answer)

    def in_study(self, study: str) -> set[str]:
        return {uid for uid, instance in self.kept.items() if instance.study == study}


JSON = {"Accept": "application/dicom+json"}


def get_instance(connection: Connection, kind: str, instance: Instance) -> tuple[int, bytes, str]:
    return connection.ask(kind, instance.path, headers={"Accept": "application/dicom; transfer-syntax=*"})


def multipart(instances: list[Instance]) -> tuple[bytes, dict[str, str]]:
    """The body of a store request, and its headers."""
    head = b"--boundary-of-load\r\nContent-Type: application/dicom\r\n\r\n"
    body = b"".join(head + instance.content() + b"\r\n" for instance in instances) + b"--boundary-of-load--\r\n"
    return body, JSON | {"Content-Type": 'multipart/related; type="application/dicom"; boundary=boundary-of-load'}


def parts_of(body: bytes, content_type: str) -> list[bytes]:
    delimiter = b"\r\n--" + content_type.split("boundary=")[-1].strip('"').encode()
    return [part.split(b"\r\n\r\n", 1)[-1] for part in (b"\r\n" + body).split(delimiter)[1:-1]]


def uids_in(body: bytes) -> set[str]:
    return {row["00080018"]["Value"][0] for row in json.loads(body)}


def put_under_load(url: str, clients: int, seconds: float, seed: int = 1) -> Report:
    """Let `clients` work for `seconds`; then compare the archive, which must have been empty, with what they know."""
    study = f"1.2.826.0.1.{seed}.0"
    contested = [Instance(study, f"{study}.1", f"{study}.1.{n}", 10_000) for n in range(CONTESTED)]
    until = time.monotonic() + seconds
    workers = [Client(url, number, seed, contested, until) for number in range(clients)]
    began = time.monotonic()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(seconds + 2 * PATIENCE)
    report = Report(seconds=time.monotonic() - began)
    for worker in workers:
        if worker.is_alive():
            report.wrong.append(f"{worker.name} got no answer")
        add(report, worker.report)
    compare(url, report, contested)
    return report


def add(report: Report, other: Report) -> None:
    report.statuses += other.statuses
    report.answers += other.answers
    report.bytes += other.bytes
    report.wrong += other.wrong
    report.kept |= other.kept
    report.deleted |= other.deleted
    for kind, latencies in other.latencies.items():
        report.latencies[kind] += latencies


def compare(url: str, report: Report, contested: list[Instance]) -> None:
    """Every acknowledged instance is there, byte for byte; nothing else is; the change feed tells the same story."""
    afterwards = Report()
    connection = Connection(url, afterwards)
    there = {row["00080018"]["Value"][0] for row in pages(connection, "/v2/instances?")}
    maybe = {instance.uid for instance in contested}
    report.wrong += [f"{uid} was acknowledged and is not found" for uid in report.kept.keys() - there]
    report.wrong += [f"{uid} is found and should not be" for uid in there - report.kept.keys() - maybe]
    for instance in [*report.kept.values(), *(each for each in contested if each.uid in there)]:
        if get_instance(connection, "afterwards", instance)[:2] != (200, instance.content()):
            report.wrong.append(f"{instance.uid} was acknowledged and has other bytes")
    actions = defaultdict(list)
    for entry in pages(connection, "/v2/changefeed?"):
        actions[entry["sopInstanceUid"]].append(entry["action"])
    for uid in report.kept.keys() | report.deleted | maybe:
        story = ["Create", "Delete"] * (len(actions[uid]) // 2) + ["Create"] * (len(actions[uid]) % 2)
        once = uid in maybe or len(actions[uid]) == 2 - (uid in report.kept)
        if actions[uid] != story or not once or (uid in there) != (len(actions[uid]) % 2 == 1):
            report.wrong.append(f"the change feed says of {uid}: {actions[uid]}")
    unheard_of = actions.keys() - report.kept.keys() - report.deleted - maybe
    report.wrong += [f"{uid} is in the change feed only" for uid in unheard_of]
    report.wrong += afterwards.wrong


def pages(connection: Connection, path: str) -> Iterator[dict]:
    offset = 0
    while True:
        status, body, _ = connection.ask("page", f"{path}limit=200&offset={offset}", headers=JSON)
        rows = json.loads(body) if status == 200 else []
        yield from rows
        if not rows:
            return
        offset += len(rows)


@dataclass
class Emulator:
    """An emulator in a process of its own, in an empty folder. `memory`: bytes, by seconds since its start."""

    url: str
    process: psutil.Process
    data_dir: Path
    log: Path
    memory: list[tuple[float, int]] = field(default_factory=list)


@contextlib.contextmanager
def emulator(*options: str, every: float = 0.25) -> Iterator[Emulator]:
    """Start one, and note its memory as time goes by."""
    with tempfile.TemporaryDirectory(prefix="dicom-emulator-load-") as folder:
        data_dir, log = Path(folder, "data"), Path(folder, "log")
        command = [sys.executable, "-m", "dicom_emulator", "--port", "0", "--data-dir", str(data_dir)]
        command += ["--until-stdin-closes", *options]
        with log.open("wb") as file:
            child = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=file, text=True, cwd=ROOT
            )
        assert child.stdout
        found = Emulator(child.stdout.readline().split()[-1], psutil.Process(child.pid), data_dir, log)
        ended = threading.Event()
        threading.Thread(target=watch, args=[found, ended, every], daemon=True).start()
        try:
            yield found
        finally:
            ended.set()
            child.terminate()
            child.communicate(timeout=70)


def watch(found: Emulator, ended: threading.Event, every: float) -> None:
    began = time.monotonic()
    with contextlib.suppress(psutil.NoSuchProcess):
        while not ended.wait(every):
            found.memory.append((time.monotonic() - began, found.process.memory_info().rss))


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def print_report(report: Report, memory: list[tuple[float, int]], write: Callable[[str], None] = print) -> None:
    total = sum(report.statuses.values())
    write(f"{total} requests in {report.seconds:.0f} s: {total / report.seconds:.0f} requests/s, "
          f"{report.bytes / report.seconds / 1e6:.1f} MB/s both ways")  # fmt: skip
    by_second = [float(report.answers[second]) for second in range(int(report.seconds))]
    low, middle, high = (percentile(by_second, share) for share in (0.05, 0.5, 0.95))
    write(f"requests/s, second by second: 5 % {low:.0f}, 50 % {middle:.0f}, 95 % {high:.0f}")
    write("")
    write(f"{'kind':20} {'requests':>8} {'50 %':>8} {'95 %':>8} {'99 %':>8} {'100 %':>8}   statuses")
    for kind, times in report.latencies.items():
        shown = " ".join(f"{1000 * percentile(times, share):5.0f} ms" for share in (0.5, 0.95, 0.99, 1))
        statuses = {status: count for (other, status), count in sorted(report.statuses.items()) if other == kind}
        write(f"{kind:20} {len(times):8} {shown}   {statuses}")
    write("")
    step = max(1, len(memory) // 12)
    write("memory, MB: " + ", ".join(f"{size / 1e6:.0f} ({at:.0f} s)" for at, size in memory[::step]))
    write(f"peak {max(size for _, size in memory) / 1e6:.0f} MB")
    failed = sum(count for (_, status), count in report.statuses.items() if status >= 500)
    write(f"kept {len(report.kept)}, deleted {len(report.deleted)}; 5xx: {failed}; wrong: {len(report.wrong)}")
    for sentence in report.wrong[:20]:
        write(f"  {sentence}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=64, help="at the same time, 1 to 256")
    parser.add_argument("--seconds", type=float, default=60, help="for how long, at most 600")
    parser.add_argument("--seed", type=int, default=1, help="another number makes other requests")
    arguments = parser.parse_args()
    if not 1 <= arguments.clients <= 256 or not 0 < arguments.seconds <= 600 or arguments.seed < 0:
        parser.error("--clients is 1 to 256, --seconds up to 600, --seed 0 or more")
    with emulator() as server:
        report = put_under_load(server.url, arguments.clients, arguments.seconds, arguments.seed)
        print_report(report, server.memory)
    return 1 if report.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
