"""What is tried on the exercises of lesson 10."""

from calendar import monthrange
from datetime import date, timedelta
from typing import Any

import requests

from tests.exercises.cases import Cases

RANGE, FUZZY, STAR = "StudyDate=20240801-20240813", "PatientName=anna l&fuzzymatching=true", "PatientName=Müller^*"
MONTH, ALL = "StudyDate=202408", "StudyDate=20240813&includefield=all,Modality"
FEBRUARY = {
    "StudyDate": "20240201-20240229",
    "PatientName": "mul",
    "fuzzymatching": "true",
    "includefield": "ModalitiesInStudy",
}


def predicted(**changes: Any) -> dict[str, Any]:
    right = {"RANGE": "found", "FUZZY": "found", "STAR": "nothing", "MONTH": "refused", "ALL": "refused"} | changes
    return {globals()[name]: answer for name, answer in right.items()}


def months(year: int) -> list[str]:
    return [f"{year}{month:02}01-{year}{month:02}{monthrange(year, month)[1]}" for month in range(1, 13)]


def without_leap_years(year: int) -> list[str]:
    return [each.replace("0229", "0228") for each in months(year)]


def every_fourth(year: int) -> list[str]:
    return [each.replace("0228", "0229") if year % 4 == 0 else each for each in months(year)]


def untouched_months(year): ...


def untouched_studies(client, url, first, last): ...


def page(client: requests.Session, url: str, first: date, last: date, **more: Any) -> list[str]:
    params = {"StudyDate": f"{first:%Y%m%d}-{last:%Y%m%d}", "limit": 200} | more
    response = client.get(url, params=params)
    rows = response.json() if response.status_code == 200 else []
    return [row["0020000D"]["Value"][0] for row in rows]


def halved(client: requests.Session, url: str, first: date, last: date, gap: int = 1) -> list[str]:
    found = page(client, url, first, last)
    if len(found) < 200:
        return found
    middle = first + (last - first) // 2
    later = middle + timedelta(days=gap)
    return halved(client, url, first, middle, gap) + halved(client, url, later, last, gap)


def by_day(client: requests.Session, url: str, first: date, last: date) -> list[str]:
    days = (first + timedelta(days=number) for number in range((last - first).days + 1))
    return [uid for day in days for uid in page(client, url, day, day)]


def paged(client: requests.Session, url: str, first: date, last: date) -> list[str]:
    found: list[str] = []
    while more := page(client, url, first, last, offset=len(found)):
        found += more
    return found


def paged_set(*arguments: Any) -> set[str]:
    return set(paged(*arguments))


def paged_until_equal(*arguments: Any) -> set[str]:
    before = None
    while before != (now := paged_set(*arguments)):
        before = now
    return now


CASES = {
    "10.1": Cases(
        untouched=(predicted(RANGE=..., FUZZY=..., STAR=..., MONTH=..., ALL=...),),
        right=[(predicted(),)],
        mistakes=[
            ((predicted(RANGE="nothing"),), "end of a range"),
            ((predicted(FUZZY="nothing"),), "Which words"),
            ((predicted(STAR="found"),), "anything but a star"),
            ((predicted(STAR="refused"),), "Does it complain?"),
            ((predicted(MONTH="found"),), "How many digits"),
            ((predicted(ALL="found"),), "What about includefield?"),
            ((predicted(ALL=400),), 'Write "found"'),
        ],
    ),
    "10.2": Cases(
        untouched=(...,),
        right=[
            (FEBRUARY,),
            (FEBRUARY | {"PatientName": "MÜL", "FuzzyMatching": True},),
            ({**FEBRUARY, "includefield": ["ModalitiesInStudy", "StudyTime"]},),
            ({"00080020": "20240201-20240229", "00100010": "mul", "fuzzymatching": True, "includefield": "00080061"},),
        ],
        mistakes=[
            (({"PatientName": "mul"},), "has no StudyDate"),
            ((FEBRUARY | {"StudyDate": "202402"},), "eight digits"),
            ((FEBRUARY | {"StudyDate": "20240201-20240228"},), "last day of February"),
            ((FEBRUARY | {"PatientName": "mul*"},), "exactly that"),
            ((FEBRUARY | {"PatientName": "Müller"},), "begins with mul"),
            ((FEBRUARY | {"fuzzymatching": "false"},), "What forgives"),
            ((FEBRUARY | {"includefield": "all"},), "modalities would be missing"),
            ((FEBRUARY | {"includefield": "all,ModalitiesInStudy"},), "still refused"),
            (("StudyDate=20240201",), "dict was asked for"),
        ],
    ),
    "10.3": Cases(
        untouched=(untouched_months,),
        right=[(months,)],
        mistakes=[
            ((without_leap_years,), "For month 2 of 2024 we got '20240201-20240228'"),
            ((every_fourth,), "For month 2 of 2100"),
            ((lambda year: months(year)[:11],), "we got 11 ranges"),
            ((lambda year: months(year)[0],), "a list of texts"),
            ((lambda year: months(2023),), "For month 1 of 2024"),
            ((lambda year: [date(year, month + 1, 1) for month in range(1, 13)],), "ValueError"),
        ],
    ),
    "10.4": Cases(
        untouched=(untouched_studies,),
        right=[(halved,), (by_day,), (paged_until_equal,)],
        mistakes=[
            ((page,), "you lost 250 of the 450 studies"),
            ((paged,), "where others delete, you lost 1 of the 449 studies"),
            ((paged_set,), "where others delete, you lost 1 of the 449 studies"),
            ((lambda *arguments: halved(*arguments, gap=0),), "came twice"),
            ((lambda *arguments: halved(*arguments, gap=2),), "you lost"),
            ((lambda client, url, first, last: client.get(url).json(),), "should hold UIDs"),
            ((lambda client, url, first, last: [*page(client, url, date(2023, 1, 1), last)],), "a study of other days"),
            ((lambda *arguments: len(halved(*arguments)),), "a list of UIDs was asked for"),
        ],
    ),
}
