"""python3 run.py azure-check: the lessons on an emulator and on your DICOM service, and a report of what differs."""

import argparse
import os
import sys
import tempfile
import textwrap
import time
from pathlib import Path
from urllib.parse import urlsplit

import requests

import dicom_emulator
import run
from azure_check import report as reports
from azure_check.comparing import View, compare
from azure_check.lessons import LESSONS, Run, read_record, run_lesson, uninterrupted
from azure_check.masks import Masks, hosts_of
from azure_check.probes import PROBES, STUDY_PATH, Asker, ask_both
from azure_check.report import Report
from azure_check.service import NotOurs, Plan, Service, Stop, open_service, some
from helpers.auth import BearerAuth
from helpers.doctor import shown
from helpers.errors import HelperError
from helpers.service import REPOSITORY
from helpers.session import LessonSession

DESCRIPTION = """\
Runs lessons 00 to 14 on an emulator of its own, then on the service that DICOM_SERVICE_URL names, with your own
sign-in (az login). Compares each exchange and each cell, asks some questions more, and writes a report:
report.html to read, report.md, report.json, and status.json for the site's status page.

Before anything is sent it says what will be stored, what is deleted again, and what stays, and asks. It takes a
service that holds nothing else. It changes and deletes only what the lessons store, which it first makes sure is
not there yet. Ctrl-C deletes what was stored so far, and writes the report so far."""

EPILOG = """\
exit codes:
  0    all is the same
  1    something differs, or could not be deleted: read the report
  2    wrong options
  3    it could not begin: no address, no sign-in, no right, no answer, no DICOM service
  4    the service holds something that is not the check's, or you said no; nothing was changed
  130  stopped by Ctrl-C

The report holds no token, no cookie and no name of your service, unless you ask for it with --show-host."""


def main(arguments: list[str] | None = None) -> int:
    options = parsed(arguments)
    try:
        return check(options)
    except Stop as stop:
        print("\n" + textwrap.fill(str(stop), 100, break_long_words=False, break_on_hyphens=False), file=sys.stderr)
        return stop.code
    except (HelperError, requests.RequestException) as problem:
        print(f"\nThe service was lost on the way ({type(problem).__name__}). Nothing was changed.", file=sys.stderr)
        return Stop.code
    except KeyboardInterrupt:
        print("\nStopped. Nothing was sent to the service but harmless questions.", file=sys.stderr)
        return 130


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="run.py azure-check", description=DESCRIPTION, epilog=EPILOG, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--lessons", nargs="+", metavar="02", default=LESSONS, help="only these lessons; default: 00 to 14"
    )
    parser.add_argument(
        "--out",
        metavar="FOLDER",
        type=Path,
        default=REPOSITORY / "build" / "azure-check",
        help="where the report goes; default: build/azure-check",
    )
    parser.add_argument("--yes", action="store_true", help="do not ask before the first request that changes something")
    parser.add_argument(
        "--no-probes", action="store_true", help=f"leave out the {len(PROBES)} questions beyond the lessons"
    )
    parser.add_argument(
        "--replace",
        action="store_true",
        help="delete first what the service has of the course's studies and tags,\n"
        "for example after lessons that you ran there yourself",
    )
    parser.add_argument(
        "--not-empty",
        action="store_true",
        help="go on although the service holds other studies. The report tells nothing of them",
    )
    parser.add_argument("--show-host", action="store_true", help="name the service in the report")
    options = parser.parse_args(arguments)
    try:
        options.lessons = [lesson_named(name) for name in options.lessons]
    except ValueError as error:
        parser.error(str(error))
    return options


def lesson_named(name: str) -> str:
    for lesson in LESSONS:
        if name in (lesson, lesson[:2]):
            return lesson
    raise ValueError(f"there is no lesson {name!r} to check. There are {', '.join(each[:2] for each in LESSONS)}.")


def check(options: argparse.Namespace) -> int:
    service = open_service()
    say("The service answers, and you may store and delete there.")
    with dicom_emulator.running() as emulator, tempfile.TemporaryDirectory(prefix="azure-check-") as temporary:
        own, theirs = Path(temporary, "emulator"), Path(temporary, "service")
        own.mkdir(mode=0o700)
        theirs.mkdir(mode=0o700)
        environment = {**run.learner_environment(), **emulator.environment, **export_container()}
        emulated = [
            run_and_tell(lesson, number, len(options.lessons), "the emulator", emulator.url, environment, None, own)
            for number, lesson in enumerate(options.lessons, start=1)
        ]
        plan = Plan(emulated)
        plan.resources.add(STUDY_PATH)
        alone = look_and_ask(service, plan, options)

        hosts = [] if options.show_host else hosts_of(service.url)
        container = os.environ.get("DICOM_EXPORT_CONTAINER", "")
        hosts += [] if options.show_host or not container else hosts_of(container)
        ours = frozenset(study.partition("/")[2] for study in plan.studies)
        view = View(hosts, container, ours, service.last_event(), alone)
        report = Report(service.url if options.show_host else shown(service.url), kind_of(service.url))
        try:
            on_the_service(report, service, emulated, plan, view, theirs)
            if not options.no_probes:
                probe(report, emulator, service, view)
        except KeyboardInterrupt:
            report.unfinished = "stopped by Ctrl-C"
        except (HelperError, requests.RequestException) as problem:
            report.unfinished = f"the service was lost on the way ({type(problem).__name__})"
        finally:
            with uninterrupted():
                report.remains = tidied(service, theirs)
                reports.write(report, options.out)
    say(f"\n{reports.in_a_sentence(report)}\nThe report: {options.out / 'report.html'}")
    if kind_of(service.url) == "Azure" and not report.unfinished:
        say(f"To show it on the site's status page, commit it: cp {options.out / 'status.json'} docs/azure-status.json")
    if "Ctrl-C" in report.unfinished:
        return 130
    return 0 if report.is_same and not report.remains else 1


def look_and_ask(service: Service, plan: Plan, options: argparse.Namespace) -> bool:
    """See that the check can harm nothing, say what it does, and ask. True when nobody else has studies there."""
    there = service.holding(plan.resources)
    if there and not options.replace:
        raise NotOurs(
            f"The service has {len(there)} of the studies and tags that the lessons store, change and delete: "
            f"{some(there)}. Nothing was changed. If they are left from lessons "
            "that you ran there, add --replace, which deletes them first. If they may be somebody else's, ask for a "
            "service of your own."
        )
    alone = not service.holds_other_studies(plan.resources)
    if not alone and not options.not_empty:
        raise NotOurs(
            "The service holds other studies than the course's. Nothing was changed. Searches would find them, so the "
            "comparison would mean less. Take an empty service, or add --not-empty: other studies are neither changed "
            "nor told of in the report."
        )
    say("\n" + "\n".join(plan.lines(urlsplit(service.url).netloc, there)))
    if not options.yes and not agreed():
        raise NotOurs("You said no. Nothing was changed.")
    if remains := list(service.remove(there)):
        raise NotOurs(f"The service does not let go of {', '.join(remains)}.")
    return alone


def agreed() -> bool:
    if not sys.stdin.isatty():
        raise NotOurs("There is nobody to ask. Nothing was changed. Add --yes to go on without a question.")
    return input("Go on? [y/N] ").strip().lower() in ("y", "yes")


def on_the_service(report: Report, service: Service, emulated: list[Run], plan: Plan, view: View, folder: Path) -> None:
    """Each lesson once more, on the service, and compared as soon as it is done."""
    environment = {**run.environment(), "DICOM_LESSON_TIMES": "hidden"}
    for number, before in enumerate(emulated, start=1):
        now = run_and_tell(
            before.lesson, number, len(emulated), "the service", service.url, environment, plan.resources, folder
        )
        comparison = compare(before, now, view)
        report.comparisons.append(comparison)
        if failures := now.failures():
            (cell, error), more = failures[0], len(failures) - 1
            say(
                f"    cell {cell} failed: {' '.join(Masks(view.hosts).text(error).split())[:200]}"
                + f" ({more} more after it)" * bool(more)
            )
        if not comparison.is_same:
            say(f"    {len(comparison.unequal)} of {len(comparison.pairs)} exchanges differ")


def run_and_tell(lesson: str, number: int, count: int, where: str, *arguments: object) -> Run:
    print(f"lesson {number} of {count} on {where}: {lesson}", end="", flush=True)
    start = time.monotonic()
    try:
        done = run_lesson(lesson, *arguments)
    finally:
        print(f", {time.monotonic() - start:.1f} s", flush=True)
    if done.broke:
        say(f"    {done.broke}")
    return done


def probe(report: Report, emulator: dicom_emulator.RunningServer, service: Service, view: View) -> None:
    say(f"{len(PROBES)} questions beyond the lessons")
    own = Service(emulator.url, LessonSession(BearerAuth(emulator.credential)))
    both = Asker(own, Masks([])), Asker(service, Masks(view.hosts, container=view.container))
    report.answers.extend(ask_both(*both))


def tidied(service: Service, folder: Path) -> list[str]:
    """Delete what the lessons stored, as their records tell, and look whether it is gone; what is not."""
    everything = Run("")
    for record in folder.glob("*.jsonl"):
        read_record(record, everything)
    if everything.touched:
        say("Deleting what the lessons left there.")
    kept = list(service.remove(everything.touched))
    try:
        # A request that was on its way when its kernel was stopped may have arrived after all.
        return kept or list(service.remove(service.holding(everything.touched)))
    except (Stop, HelperError, requests.RequestException) as problem:
        return [f"perhaps something of the lessons: nobody could look ({type(problem).__name__})"]


def export_container() -> dict[str, str]:
    container = os.environ.get("DICOM_EXPORT_CONTAINER")
    return {"DICOM_EXPORT_CONTAINER": container} if container else {}


def kind_of(url: str) -> str:
    host = urlsplit(url).hostname or ""
    return "Azure" if host.endswith(".azurehealthcareapis.com") else "another service"


def say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
