"""The report: report.html to read, report.md for the table of differences, report.json for programs.

Nothing in it names the service unless asked: hosts, tokens, ids and times are masked before they come here.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from azure_check.comparing import Comparison, Pair
from azure_check.masks import UID
from azure_check.probes import Answer
from helpers.exchange.masks import short
from tests.notebooks.status import versions

FILES = ["report.html", "report.md", "report.json", "status.json"]
ORDER = {"status": 0, "header": 1, "body": 2, "request": 3}


@dataclass
class Group:
    """A difference that was seen once or more: `seen` says where, as `02 cell 5`, `request` is the first of these."""

    what: str
    emulator: str
    service: str
    request: str
    seen: list[str]


@dataclass
class Report:
    """What a check has found. `unfinished` says why there is not more; `remains` what could not be deleted."""

    service: str  # its name, or words for it
    server: str  # what kind it is, for the status page
    comparisons: list[Comparison] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    unfinished: str = ""
    remains: list[str] = field(default_factory=list)

    @property
    def is_same(self) -> bool:
        return all(each.is_same for each in (*self.comparisons, *self.answers)) and not self.unfinished

    @property
    def exchanges(self) -> int:
        return sum(len(each.pairs) for each in self.comparisons)

    @property
    def unequal(self) -> int:
        return sum(len(each.unequal) for each in self.comparisons)

    @property
    def groups(self) -> list[Group]:
        """Each difference once: status first, then headers, then bodies; of each the most frequent first."""
        found: dict[tuple[str, str, str], Group] = {}
        for comparison in self.comparisons:
            for pair in comparison.unequal:
                for each in pair.differences:
                    key = each.what, each.emulator, each.service
                    group = found.setdefault(
                        key, Group(*key, request=UID.sub(lambda uid: short(uid[0]), pair.request), seen=[])
                    )
                    group.seen.append(f"{comparison.lesson[:2]} cell {pair.cell}")
        return sorted(found.values(), key=lambda group: (ORDER[group.what.split(":")[0].split()[0]], -len(group.seen)))

    @property
    def left_out(self) -> list[str]:
        return [f"{each.lesson[:2]}, {line}" for each in self.comparisons for line in unique(each.service.left_out)]


def unique(lines: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(lines))


def result(comparison: Comparison) -> str:
    """`passed` when each cell that can run on the service did so without an error."""
    return "failed" if comparison.service.broke or comparison.service.failures() else "passed"


def write(report: Report, folder: Path) -> None:
    """Write all FILES into `folder`, which is made where it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.html").write_text(html(report), "utf-8")
    (folder / "report.md").write_text("\n".join([*markdown(report), ""]), "utf-8")
    (folder / "report.json").write_text(json.dumps(as_json(report), indent=1, ensure_ascii=False), "utf-8")
    (folder / "status.json").write_text(json.dumps(status(report), indent=1), "utf-8")


def html(report: Report) -> str:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["code"] = lambda text: Markup(re.sub(r"`([^`]*)`", r"<code>\1</code>", str(escape(text))))
    template = environment.get_template("report.html.j2")
    return template.render(report=report, today=date.today().isoformat(), result=result, versions=versions())


def status(report: Report) -> dict[str, Any]:
    """In the form of build/lesson-status.json, for the site's page *Status*."""
    rows = {
        each.lesson: {
            "date": date.today().isoformat(),
            "result": result(each),
            "seconds": round(each.service.seconds, 1),
            "server": report.server,
        }
        for each in report.comparisons
    }
    return {"lessons": rows, "versions": versions()}


def as_json(report: Report) -> dict[str, Any]:
    return {
        "date": date.today().isoformat(),
        "service": report.service,
        "versions": versions(),
        "unfinished": report.unfinished,
        "remains": report.remains,
        "lessons": [lesson_as_json(each) for each in report.comparisons],
        "differences": [asdict(group) for group in report.groups],
        "probes": [asdict(answer) | {"same": answer.is_same} for answer in report.answers],
        "left_out": report.left_out,
    }


def lesson_as_json(comparison: Comparison) -> dict[str, Any]:
    return {
        "lesson": comparison.lesson,
        "result": result(comparison),
        "seconds": {"emulator": comparison.emulator.seconds, "service": comparison.service.seconds},
        "broke": comparison.service.broke,
        "others": comparison.others,
        "exchanges": [pair_as_json(pair) for pair in comparison.pairs],
        "cells": [asdict(cell) for cell in comparison.cells],
    }


def pair_as_json(pair: Pair) -> dict[str, Any]:
    statuses = {name: one.status for name, one in (("emulator", pair.emulator), ("service", pair.service)) if one}
    return {
        "cell": pair.cell,
        "request": pair.request,
        "status": statuses,
        "differences": [asdict(each) for each in pair.differences],
        **({"told": pair.told} if pair.told else {}),
    }


# ------------------------------------------------------------------------------------------------------------ Markdown


def markdown(report: Report) -> Iterator[str]:
    yield from ["# The lessons on the emulator and on a DICOM service", ""]
    yield f"{date.today().isoformat()}, {report.service}. {in_a_sentence(report)}"
    yield from [
        "",
        "| Lesson | Result | Exchanges | Different | Cells | Seconds |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for each in report.comparisons:
        numbers = f"{len(each.pairs)} | {len(each.unequal)} | {len(each.cells)} | {each.service.seconds:.0f}"
        yield f"| {each.lesson} | {result(each)} | {numbers} |"
    if report.groups:
        yield from ["", "## Differences", "", "Each once, as a row for the table in `dicom_emulator/README.md`.", ""]
        yield from ["| What | Request | Emulator | Service | Seen |", "| --- | --- | --- | --- | --- |"]
        yield from (
            row(each.what, f"`{each.request}`", each.emulator, each.service, where(each)) for each in report.groups
        )
    if report.answers:
        yield from ["", "## Probes", "", "| Topic | Question | Emulator | Service |", "| --- | --- | --- | --- |"]
        yield from (
            row(each.topic, each.question, each.emulator, each.service if not each.is_same else "the same")
            for each in report.answers
        )
    if report.left_out:
        yield from ["", "## Left out", "", *(f"- {line}" for line in report.left_out)]


def where(group: Group) -> str:
    places = unique(group.seen)
    more = f" and {len(places) - 3} more" if len(places) > 3 else ""
    return f"{len(group.seen)}×: {', '.join(places[:3])}{more}"


def row(*values: str) -> str:
    return "| " + " | ".join(value.replace("|", "\\|").replace("\n", " ") for value in values) + " |"


def in_a_sentence(report: Report) -> str:
    """The whole report in two sentences, for the terminal, too."""
    failed = [each.lesson[:2] for each in report.comparisons if result(each) == "failed"]
    asked = sum(not answer.is_same for answer in report.answers)
    count = len(report.comparisons)
    lessons = f"{count} lesson{'s' * (count != 1)}, {report.exchanges:,} exchanges: {report.unequal:,} differ"
    probes = f"; of {len(report.answers)} probes {asked} differ" if report.answers else ""
    ended = f" Lessons in which a cell failed there: {', '.join(failed)}." if failed else " No cell failed there."
    unfinished = f" Unfinished: {report.unfinished}." if report.unfinished else ""
    remains = f" Not deleted: {', '.join(report.remains)}." if report.remains else ""
    return f"{lessons}{probes}.{ended if report.comparisons else ''}{unfinished}{remains}"
