"""The exercises of lesson 10: what queries find, ranges of dates, and all rows while others store and delete."""

import re
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import requests

from helpers.exercises import NotYet, describe, exercise, expect_type, result_of
from helpers.exercises.judging import PretendedServer, expect_predictions, reply

MOST, USUAL = 200, 100  # rows in a page: the limit of the service, and what it sends when nobody says
DAY = re.compile(r"\d{8}")


@exercise(
    "10.1",
    hints=[
        "Ask of each query first whether the server understands it, and only then whether it matches.",
        "A wildcard is understood, as a letter. A date has eight digits. Nothing goes together with `all`.",
    ],
    why="A refusal is loud; a wildcard that finds nothing is quiet. Know which of your mistakes are quiet.",
)
def what_queries_find(predicted: Any) -> None:
    """Predict what five queries do: find the study, find nothing, or be refused."""
    right = {
        "StudyDate=20240801-20240813": "found",
        "PatientName=anna l&fuzzymatching=true": "found",
        "PatientName=Müller^*": "nothing",
        "StudyDate=202408": "refused",
        "StudyDate=20240813&includefield=all,Modality": "refused",
    }
    nudges = {
        "StudyDate=20240801-20240813": "Does the end of a range belong to it?",
        "PatientName=anna l&fuzzymatching=true": "Which words does the name have, and what do they begin with?",
        "PatientName=Müller^*": "Does the service take the star for anything but a star? Does it complain?",
        "StudyDate=202408": "How many digits has a date?",
        "StudyDate=20240813&includefield=all,Modality": "The date is right. What about includefield?",
    }
    expect_type(predicted, dict)
    strange = [answer for answer in predicted.values() if answer not in ("found", "nothing", "refused")]
    if strange:
        raise NotYet(f'We got {describe(strange[0])}. Write "found", "nothing" or "refused".')
    expect_predictions(predicted, right, nudges)


@exercise(
    "10.2",
    hints=[
        "Take the values one by one: how is a month written, how a beginning of a name, what may stand with `all`?",
        "February 2024 ends on the 29th. Without the star, fuzzymatching has to be switched on. Leave `all` out.",
    ],
    why="The date and `all` would have been refused aloud; the star would have found nobody, without a word.",
)
def query_for_february(params: Any) -> None:
    """Repair a query for a month, a beginning of a name, and the modalities."""
    expect_type(params, dict)
    sent = requests.Request("GET", "https://pretended.example/v2/studies", params=params).prepare()
    query = parse_qs(urlsplit(sent.url or "").query)
    lower = {name.lower(): values for name, values in query.items()}
    expect_february((query.get("StudyDate") or query.get("00080020") or [""])[0])
    name = (query.get("PatientName") or query.get("00100010") or [""])[0]
    if "*" in name or "?" in name:
        raise NotYet(f"The name is still {name!r}; this service would look for exactly that.")
    if name.lower().rstrip() not in ("mul", "mül"):
        raise NotYet(f"The name is {name!r}. Everybody whose name begins with mul was asked for.")
    if lower.get("fuzzymatching", [""])[0].lower() != "true":
        raise NotYet(f"{name!r} is a piece of a name, and the whole name must fit. What forgives that?")
    fields = [field.strip() for value in lower.get("includefield", []) for field in value.split(",")]
    if not {"ModalitiesInStudy", "00080061"} & set(fields):
        raise NotYet(f"includefield is {', '.join(fields) or 'not there'}; the modalities would be missing.")
    if "all" in fields and len(fields) > 1:
        raise NotYet("includefield is still refused: `all` together with a name.")


def expect_february(given: str) -> None:
    if not given:
        raise NotYet("The query has no StudyDate.")
    first, dash, last = given.partition("-")
    if not (DAY.fullmatch(first) and dash and DAY.fullmatch(last)):
        raise NotYet(f"StudyDate is {given!r}. A range is two dates of eight digits with a dash between.")
    if (first, last) != ("20240201", "20240229"):
        raise NotYet(f"StudyDate is {given!r}. Which are the first and the last day of February 2024?")


@exercise(
    "10.3",
    hints=[
        "The last day of a month is easier to get from the first day of the next month.",
        "date(year, month + 1, 1) - timedelta(days=1); after December comes January of the next year.",
    ],
    why="Twelve ranges without gap and overlap add up to the year, which you can prove by counting.",
)
def ranges_of_months(function: Any) -> None:
    """Write a function that returns the StudyDate ranges of the months of a year."""
    for year in (2023, 2024, 2100):
        ranges = result_of(function, year)
        if not isinstance(ranges, list | tuple) or not all(isinstance(each, str) for each in ranges):
            raise NotYet(f"We got {describe(ranges)}; a list of texts was asked for.")
        if len(ranges) != 12:
            raise NotYet(f"For {year} we got {len(ranges)} ranges.")
        for month, (given, right) in enumerate(zip(ranges, months_of(year), strict=True), start=1):
            if given != right:
                raise NotYet(f"For month {month} of {year} we got {given!r}.")


def months_of(year: int) -> list[str]:
    firsts = [date(year + month // 12, month % 12 + 1, 1) for month in range(13)]
    lasts = [first - timedelta(days=1) for first in firsts[1:]]
    return [f"{first:%Y%m%d}-{last:%Y%m%d}" for first, last in zip(firsts, lasts, strict=False)]


@exercise(
    "10.4",
    hints=[
        "Skipping rows is what loses them. How does `search_days` in the lesson get along without offset?",
        "Ask for the range with limit 200. A full page: ask for its two halves instead, by calling yourself.",
    ],
    why="A copy that lost one study looks exactly like a whole one. Only the way it was made tells them apart.",
)
def all_while_others_work(function: Any) -> None:
    """Write a function that finds all studies of some days, while others store and delete."""
    first, last = date(2024, 1, 1), date(2024, 12, 31)
    for what, number, busy in (
        ("a server where nothing happens", 3, ()),
        ("a server that has no study of these days", 0, ()),
        ("a server where nothing happens", 450, ()),
        ("a server where others delete", 450, (delete_newest,)),
        ("a server where others store", 450, (store_new,)),
        ("a server where others store and delete", 600, (store_new, delete_newest, delete_newest)),
    ):
        archive = Archive(number, busy)
        found = result_of(function, archive.server.session(), "https://pretended.example/v2/studies", first, last)
        if not isinstance(found, list | tuple | set):
            raise NotYet(f"We got {describe(found)}; a list of UIDs was asked for.")
        if not all(isinstance(each, str) for each in found):
            raise NotYet("The list should hold UIDs: the value of 0020000D, a text.")
        if len(set(found)) != len(found):
            raise NotYet(f"On {what}, {len(found) - len(set(found))} of {len(found)} UIDs came twice.")
        lost = archive.there_all_the_time - set(found)
        if lost:
            there = len(archive.there_all_the_time)
            raise NotYet(f"On {what}, you lost {len(lost)} of the {there} studies that nobody had touched.")
        if strangers := set(found) - archive.ever:
            raise NotYet(f"On {what} we got {describe(min(strangers))}, a study of other days, or none at all.")


class Archive:
    """A pretended server with `number` studies of 2024, newest first, and one of 2023.

    After each of its first answers, one of `busy` happens to it.
    """

    def __init__(self, number: int, busy: tuple[Callable[["Archive"], None], ...]) -> None:
        start = datetime(2024, 1, 1)
        days = [start + timedelta(days=place * 366 // max(number, 1)) for place in range(number)]
        self.studies = {f"2.25.{1000 + place}": f"{day:%Y%m%d}" for place, day in enumerate(days)}
        self.there_all_the_time, self.ever = set(self.studies), set(self.studies)
        self.studies["2.25.1"] = "20231231"
        self.busy = list(busy)
        self.server = PretendedServer(self.answer)

    def answer(self, request: requests.PreparedRequest) -> requests.Response:
        query = dict(parse_qsl(urlsplit(request.url or "").query))
        numbers = {name.lower(): value for name, value in query.items()}
        limit, offset = (int(numbers.get(name, usual)) for name, usual in (("limit", USUAL), ("offset", 0)))
        if not 1 <= limit <= MOST:
            return reply(400, content=b"The field Limit must be between 1 and 200.")
        first, dash, last = query.get("StudyDate", query.get("00080020", "-")).partition("-")
        last = last if dash else first
        if not all(DAY.fullmatch(day) for day in (first, last) if day) or first > (last or "9"):
            return reply(400, content=f"Invalid query: specified date '{query.get('StudyDate')}' is invalid.".encode())
        found = [uid for uid, day in reversed(self.studies.items()) if (first or "0") <= day <= (last or "9")]
        rows = [
            {
                "00080020": {"vr": "DA", "Value": [self.studies[uid]]},
                "0020000D": {"vr": "UI", "Value": [uid]},
            }
            for uid in found[offset : offset + limit]
        ]
        if self.busy:
            self.busy.pop(0)(self)
        return reply(200, rows, Content_Type="application/dicom+json") if rows else reply(204)


def delete_newest(archive: Archive) -> None:
    uid = [uid for uid, day in archive.studies.items() if day > "2024"][-1]
    del archive.studies[uid]
    archive.there_all_the_time.discard(uid)


def store_new(archive: Archive) -> None:
    uid = f"2.25.{5000 + len(archive.ever)}"
    archive.studies[uid] = "20240505"
    archive.ever.add(uid)
