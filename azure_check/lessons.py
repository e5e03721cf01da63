"""Run a lesson on a server, every cell of it, and bring home its exchanges, what it printed, and where it failed."""

import base64
import contextlib
import json
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from requests.structures import CaseInsensitiveDict

from azure_check.recorder import ORDERS
from helpers.service import REPOSITORY
from tests.notebooks.store import FOLDER, Client, code_cells, joined, read

LESSONS = [path.stem for path in sorted(FOLDER.glob("*.ipynb")) if path.stem[:2] <= "14"]
SECONDS_FOR_A_CELL = 900  # Azure may take minutes to make an index
ONLY_THE_EMULATOR = "only the emulator lets you sign in"  # how helpers.lesson begins this sentence
START_UP = "from azure_check.recorder import install\ninstall()\ndel install\n"


@dataclass
class Message:
    """A request or a reply: its headers without tokens and cookies, and its body unpacked."""

    headers: CaseInsensitiveDict[str]
    body: bytes


@dataclass
class Exchange:
    """A request to the service and its reply; `path` begins with the version. `asked` counts a poll's repetitions."""

    cell: int
    method: str
    path: str
    sent: Message
    status: int
    got: Message
    error: str = ""
    asked: int = 1


@dataclass
class Cell:
    number: int
    source: str
    outputs: list[NotebookNode]

    @property
    def error(self) -> str:
        """The error that ended it, in a line; empty if none did."""
        errors = [f"{each.ename}: {each.evalue}" for each in self.outputs if each.output_type == "error"]
        return errors[0] if errors else ""


@dataclass
class Run:
    """A lesson on a server. `touched` is what its requests may have changed; `broke` says why it came to no end.

    `left_out` says what is not compared, and why; `emulators_own` are cells that do what only an emulator can.
    """

    lesson: str
    cells: list[Cell] = field(default_factory=list)
    exchanges: list[Exchange] = field(default_factory=list)
    touched: set[str] = field(default_factory=set)
    left_out: list[str] = field(default_factory=list)
    emulators_own: set[int] = field(default_factory=set)
    seconds: float = 0.0
    broke: str = ""

    def failures(self) -> list[tuple[int, str]]:
        """Cells that failed, but for those that only an emulator can run."""
        return [
            (cell.number, cell.error) for cell in self.cells if cell.error and cell.number not in self.emulators_own
        ]


def run_lesson(name: str, url: str, environment: Mapping[str, str], allowed: set[str] | None, folder: Path) -> Run:
    """The lesson `name` on the service at `url`; what goes wrong in it goes into the Run.

    `allowed`: what its requests may change, None for anything. `folder` keeps the record, which `read_record` can still
    read when Ctrl-C has ended this.
    """
    notebook = read(FOLDER / f"{name}.ipynb")
    for cell in code_cells(notebook):
        cell.outputs = []
    run = Run(name)
    record = folder / f"{name}.jsonl"
    record.touch()
    orders = {"url": url, "file": str(record), "allowed": None if allowed is None else sorted(allowed)}
    client = Client(
        notebook,
        kernel_name="python3",
        timeout=SECONDS_FOR_A_CELL,
        allow_errors=True,  # one cell that fails is a finding; those behind it may find more
        record_timing=False,
        resources={"metadata": {"path": str(FOLDER)}},
    )
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="ipython-") as settings:
        start_up = Path(settings, "profile_default", "startup")
        start_up.mkdir(parents=True)
        (start_up / "00-recorder.py").write_text(START_UP, "utf-8")
        own = {"IPYTHONDIR": settings, "PYTHONPATH": str(REPOSITORY), ORDERS: json.dumps(orders)}
        own["PYTHONHASHSEED"] = "0"  # lessons go through sets: the same order on both sides
        try:
            execute(client, {**environment, **own})
        except CellTimeoutError:
            run.broke = f"a cell was not done after {SECONDS_FOR_A_CELL} seconds"
        except DeadKernelError:
            run.broke = "the kernel died"
    run.seconds = time.monotonic() - start
    run.cells = [
        Cell(number, cell.source, joined(cell.outputs)) for number, cell in enumerate(code_cells(notebook), start=1)
    ]
    read_record(record, run)
    return run


def execute(client: Client, environment: Mapping[str, str]) -> None:
    """Run the notebook of `client`. Ctrl-C ends its kernel first: nothing is sent any more when this is left.

    The thread keeps Ctrl-C out of nbclient, which would be left half done, with its kernel at work.
    """
    with uninterrupted() as wish_to_stop, ThreadPoolExecutor(1) as thread:
        done = thread.submit(client.execute, env=environment, stderr=subprocess.DEVNULL)
        while not wait([done], timeout=0.2).done:
            if wish_to_stop.is_set():
                kill_kernel(client)
    if wish_to_stop.is_set():
        raise KeyboardInterrupt
    done.result()


def kill_kernel(client: Client) -> None:
    """End the kernel of `client`, if it has begun."""
    provisioner = client.km and client.km.provisioner
    if process := getattr(provisioner, "process", None):
        process.kill()


@contextlib.contextmanager
def uninterrupted() -> Iterator[threading.Event]:
    """Ctrl-C sets the event, and interrupts nothing."""
    pressed = threading.Event()
    before = signal.signal(signal.SIGINT, lambda *_: pressed.set())
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, before)


def read_record(record: Path, run: Run) -> None:
    """Put what `record` holds into `run`. A line that was being written when the kernel was stopped is passed over."""
    for line in record.read_text("utf-8").splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if "touches" in entry:
            run.touched |= set(entry["touches"])
        elif "elsewhere" in entry:
            run.left_out.append(f"cell {entry['cell']}: a {entry['method']} to a server that the lesson started itself")
        elif "stopped" in entry:
            what = f"{entry['method']} stopped, since it could change {entry['stopped']}, which is not the lessons'"
            run.left_out.append(f"cell {entry['cell']}: {what}")
        elif entry["path"].startswith("/_emulator/"):
            what = f"{entry['method']} {entry['path']}, which only an emulator has"
            run.left_out.append(f"cell {entry['cell']}: {what}")
            run.emulators_own.add(entry["cell"])
        else:
            run.exchanges.append(exchange(entry))
    for cell in run.cells:
        if ONLY_THE_EMULATOR in cell.error:
            run.emulators_own.add(cell.number)
            run.left_out.append(f"cell {cell.number}: it signs in as another role, which only an emulator lets you do")


def exchange(entry: dict[str, Any]) -> Exchange:
    got = entry.get("got", {"status": 0, "headers": {}, "body": ""})
    return Exchange(
        cell=entry["cell"],
        method=entry["method"],
        path=entry["path"],
        sent=message(entry["sent"]),
        status=got["status"],
        got=message(got),
        error=entry.get("error", ""),
    )


def message(told: dict[str, Any]) -> Message:
    return Message(CaseInsensitiveDict(told["headers"]), base64.b64decode(told["body"]))
