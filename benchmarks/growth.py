"""How the emulator's times grow from 1,000 to 100,000 instances: STOW, QIDO and the change feed, as table and plot.

One emulator, signed in to, on a folder of its own, is filled with small instances, ten to a study. On the way, at
1,000, 3,000 and so on, each request is sent 50 times. What is stored by that counts as well. Takes some minutes.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from side_by_side import files, servers
from side_by_side.client import Answer, Connection, Exchange, WrongAnswer
from side_by_side.files import Uids, Upload
from side_by_side.results import RESULTS, show

STEPS = [1_000, 3_000, 10_000, 30_000, 100_000]
QUICK_STEPS = [100, 200, 300]
TIMES = 50  # that each request is sent
IN_STUDY = 10
DAYS = 280  # on which studies were made


class Growing:
    """An emulator that holds more and more."""

    def __init__(self, server: servers.Server):
        self.server = server
        self.headers = server.sign_in()
        self.connection = Connection(server.address)
        self.upload = Upload(files.small_image(), IN_STUDY)
        self.stored = 0
        self.some: list[Uids] = []  # one instance of each study

    def ask(self, exchange: Exchange, keep: bool = False) -> Answer:
        answer = self.connection.exchange(exchange.head(self.server.root, self.headers), exchange.body, keep)
        if answer.status != 200:
            raise WrongAnswer(f"{exchange.method} {exchange.path}: status {answer.status}")
        return answer

    def store(self) -> Exchange:
        """A request with the next study."""
        uids = files.series_of(IN_STUDY)
        day = len(self.some) % DAYS
        self.upload.name(uids, f"2020{day // 28 + 1:02}{day % 28 + 1:02}")
        self.some.append(uids[0])
        self.stored += IN_STUDY
        return Exchange("POST", "/studies", "application/dicom+json", self.upload.body, files.CONTENT_TYPE)

    def fill(self, instances: int) -> None:
        while self.stored < instances:
            self.ask(self.store())

    def search(self, path: str) -> Exchange:
        return Exchange("GET", path, "application/dicom+json")

    def in_the_middle(self, number: int) -> Uids:
        return self.some[(len(self.some) // 2 + 7 * number) % len(self.some)]


# What is asked -> the request, given how often it was asked already.
REQUESTS: dict[str, Callable[[Growing, int], Exchange]] = {
    f"STOW of {IN_STUDY}": lambda it, number: it.store(),
    "QIDO, a study by UID": lambda it, number: it.search(f"/studies?StudyInstanceUID={it.in_the_middle(number).study}"),
    "QIDO, an instance by UID": lambda it, number: it.search(
        f"/instances?SOPInstanceUID={it.in_the_middle(number).instance}"
    ),
    "QIDO, first 100 studies": lambda it, number: it.search("/studies?limit=100"),
    "QIDO, last 10 studies": lambda it, number: it.search(f"/studies?limit=10&offset={len(it.some) - 10}"),
    "QIDO, 10 studies of a day": lambda it, number: it.search("/studies?StudyDate=20200101&limit=10"),
    "change feed, first 100": lambda it, number: it.search("/changefeed?limit=100"),
    "change feed, last 100": lambda it, number: it.search(f"/changefeed?limit=100&offset={it.stored - 100}"),
    "change feed, latest": lambda it, number: it.search("/changefeed/latest"),
}


def measure(it: Growing, make: Callable[[Growing, int], Exchange]) -> float:
    """The median of the seconds that the request takes."""
    seconds = []
    for number in range(TIMES):
        exchange = make(it, number)
        begin = time.perf_counter()
        it.ask(exchange)
        seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds)


def check(it: Growing) -> None:
    """That the answers hold what the table says."""
    uids = it.in_the_middle(0)
    found = json.loads(it.ask(it.search(f"/instances?SOPInstanceUID={uids.instance}"), keep=True).body)
    assert [one["00080018"]["Value"] for one in found] == [[uids.instance]]
    latest = json.loads(it.ask(it.search("/changefeed/latest"), keep=True).body)
    assert latest["sequence"] == it.stored, f"{latest['sequence']} in the change feed, {it.stored} stored"


def table(steps: list[int], found: dict[str, list[float]], sizes: list[tuple[int, int]]) -> str:
    lines = [
        "Milliseconds for a request, median of "
        f"{TIMES}, and the emulator's memory, by the number of instances that it holds:",
        "",
        f"| | {' | '.join(f'{step:,}' for step in steps)} | last ÷ first |",
        "| --- " + "| ---: " * (len(steps) + 1) + "|",
    ]
    for name, values in found.items():
        times = " | ".join(f"{1000 * value:.2f}" for value in values)
        lines.append(f"| {name} | {times} | {values[-1] / values[0]:.2f} |")
    names = ("memory, mapped files included", "memory of its own")
    for name, values in zip(names, zip(*sizes, strict=True), strict=True):
        memory = " | ".join(f"{size / 2**20:.0f} MiB" for size in values)
        lines.append(f"| {name} | {memory} | {values[-1] / values[0]:.2f} |")
    return "\n".join([*lines, ""])


def plot(path: Path, steps: list[int], found: dict[str, list[float]]) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(9, 5), layout="constrained")
    for (name, values), marker in zip(found.items(), "os^vXD<>P", strict=True):
        axes.plot(steps, [1000 * value for value in values], marker=marker, label=name)
    axes.set(xscale="log", yscale="log", xlabel="instances in the emulator", ylabel="milliseconds for a request")
    axes.set_xticks(steps, [f"{step:,}" for step in steps])
    axes.minorticks_off()
    axes.set_ylim(bottom=0.1)
    axes.grid(alpha=0.3)
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    figure.savefig(path, dpi=100)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="growth.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help=f"up to {QUICK_STEPS[-1]} instances only: does it work?")
    parser.add_argument("--most", type=int, default=STEPS[-1], metavar="N", help="stop at so many instances")
    parser.add_argument("--save", metavar="NAME", help="write benchmarks/results/NAME.md and NAME.png as well")
    parser.add_argument("--folder", metavar="DIR", help="where the emulator keeps its data; else a temporary folder")
    parser.add_argument(
        "--emulator-root", type=Path, default=servers.ROOT, metavar="DIR", help="run the emulator of another clone"
    )
    options = parser.parse_args(arguments)
    steps = QUICK_STEPS if options.quick else [step for step in STEPS if step <= options.most]
    if not steps:
        parser.error(f"--most {options.most}: the first figures are for {STEPS[0]:,} instances")
    found: dict[str, list[float]] = {name: [] for name in REQUESTS}
    sizes = []
    root = options.emulator_root.resolve()
    with (
        tempfile.TemporaryDirectory(prefix="benchmark-", dir=options.folder) as folder,
        servers.emulator(servers.EMULATOR, Path(folder), root) as server,
    ):
        it = Growing(server)
        for step in steps:
            it.fill(step)
            for name, make in REQUESTS.items():
                found[name].append(measure(it, make))
            check(it)
            sizes.append((server.memory(), server.own_memory()))
            print(f"{step:,} instances …", file=sys.stderr, flush=True)
    text = f"Emulator: {servers.KINDS[servers.EMULATOR].version(root)}.\n\n{table(steps, found, sizes)}"
    if options.save:
        text = f"{text}\n![the same as a plot]({options.save}.png)\n"
    show(text, options.save)
    if options.save:
        plot(RESULTS / f"{options.save}.png", steps, found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
