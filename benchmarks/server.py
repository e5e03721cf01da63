"""The emulator side by side with Orthanc, tiny-pacs and a bare ASGI application, transaction by transaction.

All servers run at once and take turns: emulator, Orthanc, tiny-pacs, bare, and again from the first. A ratio is made of
the turns of one round; the table has the median of all rounds, and the smallest and the largest. The emulator
runs with everything on: sign-in with a token for each client, validation, change feed. Each answer is counted: one
that has another status or length than the first, whose content was looked at, ends the row for its server.

The STOW rows depend on the file system: for five minutes after many files were deleted, ext4 takes longer to make one.
"""

import argparse
import json
import os
import platform
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import groupby
from pathlib import Path
from typing import Any

from side_by_side import files, servers
from side_by_side.client import Answer, Connection, Exchange, Turn, WrongAnswer, turn
from side_by_side.files import Uids, Upload
from side_by_side.results import show
from side_by_side.servers import BARE, EMULATOR

BOUND = 2.5  # times slower than the bare application, at the most
JSON = "application/dicom+json"
FILES = 'multipart/related; type="application/dicom"; transfer-syntax=*'
FRAMES = 'multipart/related; type="application/octet-stream"; transfer-syntax=*'
MB = 1e6
MOST_ROUNDS = 9
MISSED = " **missed**"
NOT_OFFERED = "not offered"


@dataclass(frozen=True)
class Sizes:
    """How much is stored and asked for."""

    images: int = 200  # of 0.5 MB, in one study
    frames: int = 400  # of 0.5 MB, in one instance
    studies: int = 1000  # of ten small instances
    instances_of_metadata: int = 500


QUICK = Sizes(images=4, frames=10, studies=20, instances_of_metadata=20)


DATE_OF_NONE = "20201215"  # on which no study of the archive was made


def month_of(index: int) -> str:
    """The date of a study in the archive: one of ten is from September."""
    return f"2020{index % 10 + 1:02}15"


class Contents:
    """What all servers have stored before they are asked for it: the same files under the same UIDs."""

    def __init__(self, sizes: Sizes):
        self.sizes = sizes
        self.stored: set[tuple[str, str]] = set()

    @cached_property
    def image(self) -> bytes:
        return files.ct_image()

    @cached_property
    def study(self) -> list[Uids]:
        return files.series_of(self.sizes.images)

    @cached_property
    def film(self) -> bytes:
        return files.film(self.sizes.frames)

    @cached_property
    def film_uids(self) -> list[Uids]:
        return files.series_of(1)

    @cached_property
    def small(self) -> bytes:
        return files.small_image()

    @cached_property
    def archive(self) -> list[list[Uids]]:
        return [files.series_of(10) for _ in range(self.sizes.studies)]

    @cached_property
    def rich(self) -> bytes:
        return files.rich_image()

    @cached_property
    def rich_studies(self) -> list[list[Uids]]:
        return [files.series_of(self.sizes.instances_of_metadata) for _ in range(MOST_ROUNDS + 1)]

    def uploads(self, what: str) -> Iterator[bytearray]:
        """The bodies with which `what` is stored."""
        match what:
            case "study":
                file, series, at_a_time = self.image, [self.study], 20
            case "film":
                file, series, at_a_time = self.film, [self.film_uids], 1
            case "archive":
                file, series, at_a_time = self.small, self.archive, 10
            case "metadata":
                file, series, at_a_time = self.rich, self.rich_studies, 100
        for index, uids in enumerate(series):
            for begin in range(0, len(uids), at_a_time):
                chosen = uids[begin : begin + at_a_time]
                upload = Upload(file, len(chosen))
                upload.name(chosen, month_of(index) if what == "archive" else files.DATE)
                yield upload.body

    def store(self, server: servers.Server, what: str) -> None:
        """Store `what` in `server`, unless it is there already."""
        if what and (server.name, what) not in self.stored:
            self.send(server, self.uploads(what))
            self.stored.add((server.name, what))

    def change(self, server: servers.Server) -> None:
        """Store a study more, like the others, so that no server can send what it has kept of an answer."""
        upload = Upload(self.small, 10)
        upload.name(files.series_of(10), DATE_OF_NONE)
        self.send(server, [upload.body])

    def send(self, server: servers.Server, bodies: Iterable[bytearray]) -> None:
        if server.name == BARE:
            return
        connection = Connection(server.address)
        headers = server.sign_in()
        for body in bodies:
            exchange = stow(body)
            answer = connection.exchange(exchange.head(server.root, headers), body, keep=True)
            if answer.status != 200:
                raise WrongAnswer(f"cannot store: status {answer.status}, {answer.body[:300]!r}")
        connection.close()


File = Callable[[Contents], bytes]
Amount = Callable[[Contents], float]
Requests = Callable[[Contents, int], Iterator[Exchange]]  # of one client, in the round of this number
Check = Callable[[Contents, bytes], bool]  # of the body of an answer

# --------------------------------------------------------------------------------------------------------- requests


def stow(body: bytes | bytearray) -> Exchange:
    return Exchange("POST", "/studies", JSON, body, files.CONTENT_TYPE)


def path_of(uids: Uids) -> str:
    return f"/studies/{uids.study}/series/{uids.series}/instances/{uids.instance}"


def again_and_again(*exchanges: Exchange) -> Iterator[Exchange]:
    """The requests in any order, without end; another order for each client."""
    dice = random.Random()
    while True:
        yield dice.choice(exchanges)


def uploads(file: File, count: int) -> Requests:
    def requests(contents: Contents, number: int) -> Iterator[Exchange]:
        upload = Upload(file(contents), count)
        while True:
            upload.renew()
            yield stow(upload.body)

    return requests


def gets(accept: str, paths: Callable[[Contents], list[str]]) -> Requests:
    return lambda contents, number: again_and_again(*(Exchange("GET", path, accept) for path in paths(contents)))


def metadata_never_asked_for(contents: Contents, number: int) -> Iterator[Exchange]:
    yield Exchange("GET", f"/studies/{contents.rich_studies[number][0].study}/metadata", JSON)


def page(contents: Contents, number: int) -> str:
    """A tenth of all studies."""
    limit = contents.sizes.studies // 10
    return f"/studies?limit={limit}&offset={number * limit}"


def each_page_once(contents: Contents, number: int) -> Iterator[Exchange]:
    return (Exchange("GET", page(contents, number), JSON) for number in range(10))


# ----------------------------------------------------------------------------------------------------------- checks


def stores(count: int) -> Check:
    def check(contents: Contents, body: bytes) -> bool:
        answer = json.loads(body)
        return len(answer["00081199"]["Value"]) == count and not answer.get("00081198", {}).get("Value")

    return check


def sends_files(file: File, uids: Callable[[Contents], list[Uids]], any_one: bool = False) -> Check:
    """All bytes of the data sets, or of any one, are in the answer, whatever was done to what precedes them."""

    def check(contents: Contents, body: bytes) -> bool:
        found = [files.data_set(files.filled(file(contents), one)) in body for one in uids(contents)]
        return any(found) if any_one else all(found)

    return check


def sends_frames(count: int) -> Check:
    return lambda contents, body: all(files.frame(contents.film, number) in body for number in range(count))


def sends_metadata(contents: Contents, body: bytes) -> bool:
    """One object for each instance, with nearly all elements of its file: binary ones may be left out."""
    found = json.loads(body)
    return len(found) == contents.sizes.instances_of_metadata and all(len(one) > 90 for one in found)


def finds(count: Callable[[Contents], int]) -> Check:
    def check(contents: Contents, body: bytes) -> bool:
        found = json.loads(body)
        return len(found) == count(contents) and all("0020000D" in one for one in found)

    return check


# ------------------------------------------------------------------------------------------------------------- rows


@dataclass(frozen=True)
class Row:
    """What is measured: which requests, what they have to bring, and how many times faster than all peers."""

    name: str
    title: str
    unit: str
    amount: Amount  # in one request
    goal: float
    requests: Requests
    check: Check
    needs: str = ""  # what has to be stored
    clients: int = 1
    changes: bool = False  # before each turn, whose time begins after that


def one(contents: Contents) -> float:
    return 1


def megabytes(file: File, count: Callable[[Contents], int]) -> Amount:
    return lambda contents: len(file(contents)) * count(contents) / MB


def image(contents: Contents) -> bytes:
    return contents.image


def film(contents: Contents) -> bytes:
    return contents.film


def small(contents: Contents) -> bytes:
    return contents.small


def rich(contents: Contents) -> bytes:
    return contents.rich


def film_path(contents: Contents) -> str:
    return path_of(contents.film_uids[0])


def study_uids(contents: Contents) -> list[str]:
    return [series[0].study for series in contents.archive]


ONE_STUDY = gets(JSON, lambda c: [f"/studies?StudyInstanceUID={uid}" for uid in study_uids(c)])
ONE_INSTANCE = gets(
    JSON,
    lambda c: [
        f"/studies/{uids.study}/series/{uids.series}/instances?SOPInstanceUID={uids.instance}"
        for series in c.archive
        for uids in series
    ],
)
FINDS_ONE = finds(lambda c: 1)
FINDS_A_TENTH = finds(lambda c: c.sizes.studies // 10)
ONE_IMAGE = gets(FILES, lambda c: [path_of(uids) for uids in c.study])
SENDS_AN_IMAGE = sends_files(image, lambda c: c.study, any_one=True)
ROWS = [
    Row("stow-images", "STOW 10 × 0.5 MB a request", "MB/s", megabytes(image, lambda c: 10), 2, uploads(image, 10),
        stores(10)),
    Row("stow-film", "STOW one 210 MB multi-frame", "MB/s", megabytes(film, lambda c: 1), 3, uploads(film, 1),
        stores(1)),
    Row("stow-small", "STOW 100 × 2.2 KB a request", "instances/s", lambda c: 100, 2, uploads(small, 100),
        stores(100)),
    Row("stow-headers", "STOW 100 small ones with headers of 100 elements", "instances/s", lambda c: 100, 1.5,
        uploads(rich, 100), stores(100)),
    Row("wado-study", "WADO study of 100 MB", "MB/s", megabytes(image, lambda c: c.sizes.images), 1.3,
        gets(FILES, lambda c: [f"/studies/{c.study[0].study}"]), sends_files(image, lambda c: c.study[:3]), "study"),
    Row("wado-film", "WADO instance of 210 MB", "MB/s", megabytes(film, lambda c: 1), 1.4,
        gets(FILES, lambda c: [film_path(c)]), sends_files(film, lambda c: c.film_uids), "film"),
    Row("wado-image", "WADO instance of 0.5 MB, 1 client", "requests/s", one, 2, ONE_IMAGE, SENDS_AN_IMAGE, "study"),
    Row("wado-image-8", "WADO instance of 0.5 MB, 8 clients", "requests/s", one, 2, ONE_IMAGE, SENDS_AN_IMAGE,
        "study", 8),
    Row("frame", "one frame of 400", "requests/s", one, 2.5, gets(FRAMES, lambda c: [film_path(c) + "/frames/1"]),
        sends_frames(1), "film"),
    Row("frames", "ten frames of 400", "requests/s", one, 250,
        gets(FRAMES, lambda c: [film_path(c) + "/frames/1,2,3,4,5,6,7,8,9,10"]), sends_frames(10), "film"),
    Row("metadata-first", "metadata of 500 instances, first time", "requests/s", one, 25, metadata_never_asked_for,
        sends_metadata, "metadata"),
    Row("metadata-again", "metadata of 500 instances, again", "requests/s", one, 7,
        gets(JSON, lambda c: [f"/studies/{c.rich_studies[0][0].study}/metadata"]), sends_metadata, "metadata"),
    Row("qido-study", "QIDO of a study by UID, 1 client", "requests/s", one, 6, ONE_STUDY, FINDS_ONE, "archive"),
    Row("qido-study-8", "QIDO of a study by UID, 8 clients", "requests/s", one, 6, ONE_STUDY, FINDS_ONE, "archive",
        8),
    Row("qido-instance", "QIDO of an instance by UID, 1 client", "requests/s", one, 15, ONE_INSTANCE, FINDS_ONE,
        "archive"),
    Row("qido-instance-8", "QIDO of an instance by UID, 8 clients", "requests/s", one, 15, ONE_INSTANCE, FINDS_ONE,
        "archive", 8),
    Row("qido-page-first", "ten QIDO pages of 100 studies among 10,000 instances, once after a change", "requests/s",
        one, 50, each_page_once, FINDS_A_TENTH, "archive", changes=True),
    Row("qido-page", "ten QIDO pages of 100 studies among 10,000 instances, again", "requests/s", one, 50,
        gets(JSON, lambda c: [page(c, number) for number in range(10)]), FINDS_A_TENTH, "archive"),
    Row("qido-dates", "QIDO of the 100 studies of each month among 10,000 instances, again", "requests/s", one, 50,
        gets(JSON, lambda c: [f"/studies?StudyDate=2020{month:02}01-2020{month:02}28&limit=100"
                              for month in range(1, 11)]),
        FINDS_A_TENTH, "archive"),
]  # fmt: skip


# -------------------------------------------------------------------------------------------------------- measuring


@dataclass
class Cell:
    """One row of one server."""

    turns: list[Turn] = field(default_factory=list)
    cpu: float = 0.0  # seconds, of all turns
    peak: int = 0  # bytes
    trouble: str = ""

    @property
    def rate(self) -> float:
        return statistics.median(turn.rate for turn in self.turns)

    @property
    def cpu_of_a_request(self) -> float:
        return self.cpu / sum(turn.requests for turn in self.turns)


@dataclass(frozen=True)
class Ratio:
    """How many times faster, in each round."""

    rounds: list[float]

    @property
    def median(self) -> float:
        return statistics.median(self.rounds)

    def __str__(self) -> str:
        text = f"{number(self.median)}"
        if len(self.rounds) > 1:
            text += f" ({number(min(self.rounds))}–{number(max(self.rounds))})"
        return text


def ratio(faster: Cell | None, slower: Cell | None) -> Ratio | None:
    """How many times faster; None unless both have brought right answers to the end."""
    if not faster or not slower or faster.trouble or slower.trouble:
        return None
    return Ratio([a.rate / b.rate for a, b in zip(faster.turns, slower.turns, strict=True)])


def measure(
    row: Row, running: list[servers.Server], contents: Contents, rounds: int, seconds: float, patience: float
) -> dict[str, Cell]:
    """All rounds of one row; once there are three, no further one begins after `patience` seconds."""
    cells = {server.name: Cell() for server in running}
    expected = first_answers(row, running, contents, cells)
    for server in running:
        server.forget_peak()
    begin = time.monotonic()
    for round_number in range(1, rounds + 1):
        if round_number > 3 and time.monotonic() - begin > patience:
            break
        os.sync()  # what one server has written is not for the next to wait for
        for server in running:
            cell = cells[server.name]
            if cell.trouble:
                continue
            if row.changes:
                contents.change(server)
            before = server.cpu_seconds()
            try:
                work = partial(row.requests, contents, round_number)
                cell.turns.append(turn(server, work, row.clients, seconds, expected[server.name]))
            except WrongAnswer as trouble:
                cell.trouble = one_line(f"wrong: {trouble}")
            cell.cpu += server.cpu_seconds() - before
    for server in running:
        cells[server.name].peak = server.peak_memory()
    return cells


def first_answers(
    row: Row, running: list[servers.Server], contents: Contents, cells: dict[str, Cell]
) -> dict[str, Answer]:
    """The answers that all others have to be like, looked at as a whole; who has none is told so in its cell."""
    found: dict[str, Answer] = {}
    for server in running:
        try:
            contents.store(server, row.needs)
            emulated = found[EMULATOR].body if EMULATOR in found else b""
            found[server.name] = first_answer(row, server, contents, emulated)
        except (WrongAnswer, NotOffered, OSError, ValueError, KeyError) as trouble:
            cells[server.name].trouble = one_line(str(trouble))
    return {name: Answer(answer.status, answer.length) for name, answer in found.items()}


def one_line(text: str) -> str:
    """Fit for a cell of a table."""
    return " ".join(text.replace("|", "/").split())[:200]


class NotOffered(Exception):
    """A server does not have what is asked for."""


def first_answer(row: Row, server: servers.Server, contents: Contents, emulated: bytes) -> Answer:
    """The answer that all others have to be like. The bare application is given the emulator's to send."""
    connection = Connection(server.address)
    exchange = next(row.requests(contents, 0))
    if server.name == BARE and exchange.method == "GET":
        if not emulated:
            raise NotOffered("nothing to send")
        put = Exchange("PUT", "/", JSON, emulated, "application/octet-stream")
        connection.exchange(put.head(server.root, server.sign_in()), put.body)
    answer = connection.exchange(exchange.head(server.root, server.sign_in()), exchange.body, keep=True)
    connection.close()
    if answer.status in (404, 405, 406, 501) and server.name != EMULATOR:
        raise NotOffered(NOT_OFFERED)
    if answer.status != 200:
        raise WrongAnswer(f"status {answer.status}: {answer.body[:200].decode(errors='replace')}")
    if not (server.name == BARE and exchange.method == "POST") and not row.check(contents, answer.body):
        raise WrongAnswer("the answer does not hold what was asked for")
    return answer


# -------------------------------------------------------------------------------------------------------- reporting


def number(value: float) -> str:
    """Three digits that count."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def fastest_peer(cells: dict[str, Cell]) -> Ratio | None:
    """The ratio to the fastest peer; None, if there is none."""
    ratios = [ratio(cells.get(EMULATOR), cell) for name, cell in cells.items() if name not in (EMULATOR, BARE)]
    return min(filter(None, ratios), key=lambda one: one.median, default=None)


def speed_table(results: dict[Row, dict[str, Cell]], names: list[str], contents: Contents) -> list[str]:
    peers = [name for name in names if name not in (EMULATOR, BARE)]
    lines = [
        f"| Row | | {' | '.join(names)} | {EMULATOR} ÷ fastest of {', '.join(peers) or 'no peer'} | goal "
        f"| {BARE} ÷ {EMULATOR} | goal |",
        "| --- | --- " + "| ---: " * (len(names) + 4) + "|",
    ]
    for row, cells in results.items():
        rates = [
            number(cell.rate * row.amount(contents)) if cell.turns and not cell.trouble else cell.trouble
            for cell in (cells[name] for name in names)
        ]
        best, bound = fastest_peer(cells), ratio(cells.get(BARE), cells.get(EMULATOR))
        lines.append(
            f"| {row.name}: {row.title} | {row.unit} | {' | '.join(rates)} "
            f"| {best or '–'}{'' if not best or best.median >= row.goal else MISSED} | ≥ {row.goal:g} "
            f"| {bound or '–'}{'' if not bound or bound.median <= BOUND else MISSED} | ≤ {BOUND} |"
        )
    return lines


def cost_table(results: dict[Row, dict[str, Cell]], names: list[str]) -> list[str]:
    lines = [f"| Row | {' | '.join(names)} |", "| --- " + "| ---: " * len(names) + "|"]
    for row, cells in results.items():
        costs = [
            f"{number(1000 * cell.cpu_of_a_request)} ms, {cell.peak / 2**20:.0f} MiB" if cell.turns else "–"
            for cell in (cells[name] for name in names)
        ]
        lines.append(f"| {row.name} | {' | '.join(costs)} |")
    return lines


def report(results: dict[Row, dict[str, Cell]], names: list[str], contents: Contents, notes: list[str]) -> str:
    lines = [*notes, "", *speed_table(results, names, contents), ""]
    lines += ["Processor time of the server for a request, and its peak memory in the row:", ""]
    return "\n".join([*lines, *cost_table(results, names), ""])


# ------------------------------------------------------------------------------------------------------ command line


def parse(arguments: list[str] | None) -> argparse.Namespace:
    names = ", ".join(row.name for row in ROWS)
    parser = argparse.ArgumentParser(
        prog="server.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--rows", default="", metavar="NAME,NAME", help=f"which rows, by name or by how names begin: {names}"
    )
    parser.add_argument("--servers", default="", metavar="NAME,NAME", help=f"which servers: {', '.join(servers.KINDS)}")
    parser.add_argument("--rounds", type=int, default=7, metavar="N", help="how many rounds, 7 unless told; 9 at most")
    parser.add_argument("--seconds", type=float, default=1.0, metavar="S", help="how long a turn takes at least")
    parser.add_argument(
        "--patience", type=float, default=60.0, metavar="S", help="no further round of a row after so many seconds"
    )
    parser.add_argument("--quick", action="store_true", help="little data and one short round: does it work?")
    parser.add_argument("--save", metavar="NAME", help="write the tables to benchmarks/results/NAME.md as well")
    parser.add_argument("--folder", metavar="DIR", help="where the servers keep their data; else a temporary folder")
    parser.add_argument(
        "--emulator-root", type=Path, default=servers.ROOT, metavar="DIR", help="run the emulator of another clone"
    )
    options = parser.parse_args(arguments)
    options.rows = chosen(parser, "row", options.rows, {row.name: row for row in ROWS})
    options.servers = chosen(parser, "server", options.servers, {name: name for name in servers.KINDS})
    if not 1 <= options.rounds <= MOST_ROUNDS:
        parser.error(f"--rounds {options.rounds}: from 1 to {MOST_ROUNDS}")
    if not Path("/proc/self/clear_refs").exists():
        parser.error("processor time and peak memory are read from /proc: this needs Linux")
    return options


def chosen(parser: argparse.ArgumentParser, what: str, given: str, known: dict[str, Any]) -> list[Any]:
    """What the names in `given`, or their beginnings, stand for; everything, if there are none."""
    beginnings = [one.strip() for one in given.split(",") if one.strip()]
    for one in beginnings:
        if not any(begins(name, one) for name in known):
            parser.error(f"there is no {what} that begins with {one}; there are: {', '.join(known)}")
    return [
        thing
        for name, thing in known.items()
        if not beginnings or any(one == name or (one not in known and begins(name, one)) for one in beginnings)
    ]


def begins(name: str, beginning: str) -> bool:
    return name.lower().startswith(beginning.lower())


def start_servers(
    options: argparse.Namespace, folder: Path, stack: ExitStack
) -> tuple[list[servers.Server], list[str]]:
    """The servers that are there, and what to say of each."""
    running, notes = [], []
    for name in options.servers:
        own = folder / name.replace(" ", "-")
        own.mkdir()
        root = options.emulator_root.resolve()
        try:
            running.append(stack.enter_context(servers.KINDS[name].start(name, own, root)))
        except servers.NotHere as missing:
            notes.append(f"- {name} is left out, not being installed. {missing}")
            continue
        notes.append(f"- {name}: {servers.KINDS[name].version(root)}")
    return running, notes


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    sizes, rounds, seconds = Sizes(), options.rounds, options.seconds
    if options.quick:
        sizes, rounds, seconds = QUICK, 1, 0.05
    results: dict[Row, dict[str, Cell]] = {}
    # Rows that ask for the same files share servers. All others begin with new ones, which hold nothing.
    for _, rows in groupby(options.rows, key=lambda row: row.needs or row.name):
        contents = Contents(sizes)
        with tempfile.TemporaryDirectory(prefix="benchmark-", dir=options.folder) as folder, ExitStack() as stack:
            running, notes = start_servers(options, Path(folder), stack)
            for row in rows:
                print(f"{row.name} …", file=sys.stderr, flush=True)
                results[row] = measure(row, running, contents, rounds, seconds, options.patience)
    names = [server.name for server in running]
    machine = f"{os.cpu_count()} processors, Python {platform.python_version()}"
    notes.insert(0, f"Machine: {machine}. {rounds} rounds at most, turns of {seconds:g} s.\n")
    if options.quick:
        notes.insert(1, "Quick: little data, so the figures say nothing.\n")
    text = report(results, names, contents, notes)
    show(text, options.save)
    all_cells = [cell for cells in results.values() for cell in cells.values()]
    return 0 if all(cell.turns or cell.trouble == NOT_OFFERED for cell in all_cells) else 1


if __name__ == "__main__":
    sys.exit(main())
