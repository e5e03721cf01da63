"""How many learners one machine carries: each runs lessons 01 to 05, with kernels and emulators of their own.

In each turn so many learners run the lessons' cells through nbclient, and the time is noted that each waits for a cell.
`factor` is the sum of those times by the sum for the same cells of one learner alone, who runs them just before: 2 means
that a cell takes twice as long. Cells that start an emulator and load the packages are among them.

Two models of a class:
without a pause: everybody runs all cells one after the other, from lesson 01 to 05. This is the worst case.
with a pause: everybody is somewhere in one of the lessons, and reads before each cell for a random time with the mean of
--pause, for --seconds. A real class has the lessons' own 140 minutes for their cells, which is a pause of 90 seconds: as
many cells a second come from a class that is 90 / --pause times as large.

Processor time is that of kernels and emulators from their start to the end of the lesson. Memory is the proportional share (PSS) of a kernel and of its emulator at the end of a lesson, and of a JupyterLab server.
The browsers are not counted: they are on the learners' machines. Nor is the work of the Lab servers, for which nbclient
stands in. Linux only.
"""

import argparse
import asyncio
import math
import os
import random
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import psutil
import requests

import run
from side_by_side.results import show
from side_by_side.servers import commit
from tests.copies import free_port
from tests.notebooks.store import Client, read

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "notebooks"
LESSONS = ("01-connect", "02-store-stow", "03-retrieve-wado", "04-search-qido", "05-delete")
FOR_THE_SYSTEM = 2 * 2**30  # bytes
PATIENCE = 300  # seconds

Cell = tuple[str, int]  # a lesson, and the number of a cell in it


class Room:
    """A class, and what is noted about it.

    `pause` is the mean before a cell, `seconds` how long it lasts; without a pause it lasts until all is done.
    """

    def __init__(self, learners: int, env: Mapping[str, str], pause: float = 0, seconds: float = math.inf) -> None:
        self.env, self.pause, self.seconds = dict(env), pause, seconds
        self.everybody = asyncio.Barrier(learners)
        self.began = self.end = math.inf
        self.waits: dict[Cell, list[float]] = defaultdict(list)  # seconds, for each learner who ran the cell
        self.kernels: list[int] = []  # bytes of memory, for each lesson that was ended
        self.emulators: list[int] = []
        self.processor_seconds = 0.0

    async def hold(self) -> float:
        """Everybody learns; how many seconds it took since all had begun."""
        await asyncio.gather(*map(self.learn, range(self.everybody.parties)))
        return time.monotonic() - self.began

    async def learn(self, number: int) -> None:
        """One learner, from lesson to lesson; with pauses, from somewhere in one of them."""
        first = number % len(LESSONS) if self.pause else 0
        await self.take(LESSONS[first], is_first=True)
        for name in LESSONS[first + 1 :] + LESSONS[:first]:
            if time.monotonic() < self.end:
                await self.take(name)

    async def take(self, name: str, is_first: bool = False) -> None:
        """One lesson in a new kernel. In their first, all wait for each other."""
        notebook = read(FOLDER / f"{name}.ipynb")
        cells = [(index, cell) for index, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
        resources = {"metadata": {"path": str(FOLDER)}}
        client = Client(notebook, timeout=PATIENCE, kernel_name="python3", resources=resources)
        async with client.async_setup_kernel(env=self.env, stderr=subprocess.DEVNULL):
            if is_first:
                behind = random.randrange(len(cells)) if self.pause else 0
                for index, cell in cells[:behind]:
                    await client.async_execute_cell(cell, index)
                del cells[:behind]
                await self.everybody.wait()
                self.began = time.monotonic()
                self.end = self.began + self.seconds
            for index, cell in cells:
                if self.pause:
                    await asyncio.sleep(random.expovariate(1 / self.pause))
                if time.monotonic() >= self.end:
                    break
                begin = time.perf_counter()
                await client.async_execute_cell(cell, index)
                self.waits[name, index].append(time.perf_counter() - begin)
            kernel = psutil.Process(client.km.provisioner.pid)
            emulators = [child for child in kernel.children(recursive=True) if "dicom_emulator" in child.cmdline()]
            self.kernels.append(share(kernel))
            self.emulators.extend(map(share, emulators))
            self.processor_seconds += sum(map(processor_seconds, [kernel, *emulators]))


def share(process: psutil.Process) -> int:
    return process.memory_full_info().pss


def processor_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def factor(waits: Mapping[Cell, list[float]], alone: Mapping[Cell, list[float]]) -> float:
    """How much longer a cell takes than when one learner is alone, over all that were waited for."""
    return sum(map(sum, waits.values())) / sum(alone[cell][0] * len(seconds) for cell, seconds in waits.items())


def lab_server() -> tuple[int, float]:
    """The memory of a JupyterLab server once it has answered, and the processor time that this took."""
    port, env = free_port(), run.environment() | {"JUPYTER_TOKEN": "benchmark"}
    command = run.lab_command(sys.executable, ["--no-browser", "--ip=127.0.0.1", f"--port={port}"])
    with psutil.Popen(command, cwd=ROOT, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            for path in ("/lab/tree/notebooks/02-store-stow.ipynb", "/api/contents/notebooks/02-store-stow.ipynb"):
                ask(f"http://127.0.0.1:{port}{path}")
            return share(server), processor_seconds(server)
        finally:
            server.terminate()


def ask(url: str) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            requests.get(url, params={"token": "benchmark"}, timeout=PATIENCE).raise_for_status()
            return
        except requests.ConnectionError:
            time.sleep(0.1)
    raise SystemExit(f"JupyterLab did not answer within {PATIENCE} seconds.")


def measure(options: argparse.Namespace) -> list[str]:
    env, tables, rooms = run.learner_environment(), [], []

    def held(learners: int, pause: float = 0, seconds: float = math.inf) -> tuple[Room, float]:
        rooms.append(Room(learners, env, pause, seconds))
        return rooms[-1], asyncio.run(rooms[-1].hold())

    held(1)  # so that compiled modules are there, and files in memory
    for pause, seconds, counts in ((0, math.inf, options.learners), (options.pause, options.seconds, options.pausing)):
        title = f"with a pause of {pause:g} s" if pause else "without a pause"
        tables += [f"| learners, {title} | cells a second | a cell takes | 95 of 100 within | factor |"]
        tables += ["| ---: " * 5 + "|"]
        for learners in counts:
            alone, _ = held(1)
            tables.append(row(*held(learners, pause, seconds), alone))
            print(tables[-1], file=sys.stderr, flush=True)
        tables.append("")
    alone = [room for room in rooms if room.everybody.parties == 1]
    kernels = [one for room in rooms for one in room.kernels]
    emulators = [one for room in rooms for one in room.emulators]
    lab, start = lab_server()
    return [
        f"Commit {commit(ROOT)}, {os.cpu_count()} processors.",
        "",
        *tables,
        f"One learner alone: {len(alone[0].waits)} code cells, for which the fastest of {len(alone)} waited "
        f"{min(sum(map(sum, room.waits.values())) for room in alone):.1f} s; "
        f"{statistics.median(room.processor_seconds for room in alone):.1f} s of processor time. The start of a Lab server "
        f"takes {start:.1f} s of it.",
        "",
        memory(lab, statistics.median(kernels), statistics.median(emulators)),
    ]


def row(room: Room, took: float, alone: Room) -> str:
    waited = [one for each in room.waits.values() for one in each]
    slowest = statistics.quantiles(waited, n=20)[-1]
    return (
        f"| {room.everybody.parties} | {len(waited) / min(took, room.seconds):.1f} | {statistics.mean(waited):.2f} s | {slowest:.2f} s "
        f"| {factor(room.waits, alone.waits):.2f} |"
    )


def memory(lab: float, kernel: float, emulator: float) -> str:
    """What a learner costs, and how many 24 GiB hold: with one lesson open each, and with all five."""
    held = [int((24 * 2**30 - FOR_THE_SYSTEM) / (lab + lessons * (kernel + emulator))) for lessons in (1, len(LESSONS))]
    return (
        f"Memory: a Lab server {lab / 2**20:.0f} MiB, a kernel {kernel / 2**20:.0f} MiB, its emulator "
        f"{emulator / 2**20:.0f} MiB. 24 GiB, less 2 for the system, hold {held[0]} learners with one lesson open each, "
        f"or {held[1]} with all five."
    )


def numbers(text: str) -> list[int]:
    return [int(one) for one in text.split(",") if one]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="room.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--learners", type=numbers, default=[2, 3, 4], metavar="N,N", help="without a pause (2,3,4)")
    parser.add_argument("--pausing", type=numbers, default=[10, 20, 30], metavar="N,N", help="with one (10,20,30)")
    parser.add_argument("--pause", type=float, default=5, metavar="SECONDS", help="mean before a cell (5)")
    parser.add_argument("--seconds", type=float, default=30, help="how long a class with pauses lasts (30)")
    parser.add_argument("--quick", action="store_true", help="two learners, a short class: only to see that it works")
    parser.add_argument("--save", metavar="NAME", help="write the tables to benchmarks/results/NAME.md as well")
    options = parser.parse_args(arguments)
    if options.quick:
        options.learners, options.pausing, options.pause, options.seconds = [2], [2], 1, 10
    random.seed(1)
    text = "\n".join([*measure(options), ""])
    show(text, options.save)
    return 0


if __name__ == "__main__":
    sys.exit(main())
