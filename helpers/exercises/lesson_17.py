"""The exercises of lesson 17: what the service takes, new UIDs that hold together, traces of a name, and the feed."""

from typing import Any

from pydicom import config
from pydicom.dataset import Dataset
from pydicom.uid import UID

from helpers.exercises import NotYet, describe, exercise, expect_type, result_of
from helpers.exercises.judging import expect_predictions

STATUSES = {
    "a good file": 200,
    "a good file and a text": 202,
    "a text alone": 409,
    "a file that is stored already": 409,
    "the UIDs of a stored file, other pixels": 409,
    "a good file whose PatientID is empty": 202,
}


@exercise(
    "17.1",
    hints=[
        "All stored is 200, nothing stored is 409. What lies between, a warning included, has a status of its own.",
        "The service knows instances by their UIDs and compares no pixels. An empty PatientID is only warned of.",
    ],
    why="202 is the one to fear: it looks like success, and only the body says what is missing.",
)
def statuses(predicted: Any) -> None:
    """Predict the status of six requests that store."""
    nudges = {
        "a good file": "Nothing is wrong with it, and it is stored.",
        "a good file and a text": "One is stored, and one is not.",
        "a text alone": "Is anything stored?",
        "a file that is stored already": "POST replaces nothing. What did the service say to the copy?",
        "the UIDs of a stored file, other pixels": "Does the service look at pixels when it looks for duplicates?",
        "a good file whose PatientID is empty": "v2 wants the attribute to be there. What does it say of a weak value?",
    }
    expect_predictions(predicted, STATUSES, nudges)


OLD = ["1.2.3.4", "1.2.3.5", "2.25.77", "1.2.826.0.1.3680043.8.498.1"]
STANDARD = "1.2.840.10008.5.1.4.1.1.7"


@exercise(
    "17.2",
    hints=[
        "Two files of one study have the same StudyInstanceUID before. They need the same one afterwards.",
        "Keep a dictionary outside the function: old UID to new UID. UIDs that begin with 1.2.840.10008. are the "
        "standard's own and stay.",
    ],
    why="One dictionary for the whole job keeps studies, series and references together, and nobody's UID is left.",
)
def consistent_uids(function: Any) -> None:
    """Repair a function that gives new UIDs, so that studies hold together."""
    first = [new_uid(function, uid) for uid in OLD]
    again = [new_uid(function, uid) for uid in reversed(OLD)][::-1]
    if first != again:
        raise NotYet("The same UID came in twice, and two different ones came out. So a study falls apart.")
    if set(first) & set(OLD):
        raise NotYet("An old UID came out again. Whoever knows it finds the patient.")
    if len(set(first)) < len(OLD):
        raise NotYet("Different UIDs came in, and the same one came out. So two instances become one.")
    if any(new.endswith(f".{old}") for old, new in zip(OLD, first, strict=True)):
        raise NotYet("The old UID still stands inside of the new one.")
    if new_uid(function, STANDARD) != STANDARD:
        raise NotYet(f"{STANDARD} says what kind of object it is. Changed, nobody can read the file any more.")


def new_uid(function: Any, old: str) -> str:
    new = result_of(function, UID(old))
    expect_type(new, str)
    if not UID(new, validation_mode=config.IGNORE).is_valid:
        raise NotYet(f"For {old} we got {describe(str(new))}: digits and dots, 64 characters at most, no leading zero.")
    return str(new)


def told_in_words() -> Dataset:
    """A data set in which the name Weaver stands in four places."""
    request = Dataset()
    request.RequestedProcedureDescription = "control, WEAVER"
    request.ScheduledProcedureStepID = "7"
    data_set = Dataset()
    data_set.PatientName = "Weaver^Ida"
    data_set.OtherPatientNames = ["Thread^Ida", "Weaver-Mill^Ida"]
    data_set.StudyDescription = "Chest of Mrs Weaver"
    data_set.SeriesDescription = "Chest"
    data_set.InstanceNumber = 3
    data_set.Rows = 4
    data_set.AccessionNumber = ""
    data_set.RequestAttributesSequence = [Dataset(), request]
    data_set.PixelData = b"\0\1"
    return data_set


IN_WORDS = {"PatientName", "OtherPatientNames", "StudyDescription", "RequestedProcedureDescription"}


@exercise(
    "17.3",
    hints=[
        "data_set.iterall() goes through all elements, those in sequences included. Each has a keyword and a value.",
        "Compare in small letters: word.lower() in str(element.value).lower(). Collect element.keyword in a set.",
    ],
    why="It looks at every attribute, and not only at those that somebody thought of. Pixels it cannot read.",
)
def traces(function: Any) -> None:
    """Write a function that finds in which attributes one of some words stands."""
    clean = Dataset()
    clean.PatientName, clean.Rows = "CASE-1", 96
    if found := names(function, clean, ["weaver"]):
        raise NotYet(f"Nothing of it stands in this data set, and we got {sorted(found)}.")
    found = names(function, told_in_words(), ["weaver"]) - {"RequestAttributesSequence"}
    nudges = {
        "PatientName": "A name is an object: str() makes a text of it. Capital and small letters should not matter.",
        "StudyDescription": "Words stand inside of longer texts.",
        "OtherPatientNames": "An attribute may have several values.",
        "RequestedProcedureDescription": "A sequence holds data sets of its own; capital letters may be in the way.",
    }
    for keyword, nudge in nudges.items():
        if keyword not in found:
            raise NotYet(f"One place was overlooked; {len(found & IN_WORDS)} of {len(IN_WORDS)} were found. {nudge}")
    if found != IN_WORDS:
        raise NotYet(f"We got {sorted(found - IN_WORDS)}, too; the word is not in there.")
    if names(function, told_in_words(), ["nobody", "MRS"]) != {"StudyDescription"}:
        raise NotYet("With several words one is enough, and their own capital letters do not matter.")


def names(function: Any, data_set: Dataset, words: list[str]) -> set[str]:
    found = result_of(function, data_set, words)
    expect_type(found, list, set, tuple)
    return {str(each) for each in found}


def entries(*told: str) -> list[dict[str, Any]]:
    """Entries of the feed, from words such as "Create 1 Current"."""
    return [
        {"sequence": number, "action": action, "sopInstanceUid": f"2.25.{uid}", "state": state}
        for number, (action, uid, state) in enumerate((each.split() for each in told), start=1)
    ]


FEEDS = [
    ((), set()),
    (("Create 1 Current", "Create 2 Current"), {"2.25.1", "2.25.2"}),
    (("Create 1 Deleted", "Create 2 Current", "Delete 1 Deleted"), {"2.25.2"}),
    (("Create 1 Replaced", "Delete 1 Replaced", "Create 2 Current", "Create 1 Current"), {"2.25.1", "2.25.2"}),
    (("Create 1 Replaced", "Update 1 Current", "Create 2 Deleted", "Delete 2 Deleted"), {"2.25.1"}),
]


@exercise(
    "17.4",
    hints=[
        "What happened is `action`; how things are now is `state`. Look at the table of states in your audit.",
        'An instance is there when one of its entries has the state "Current".',
    ],
    why="Such a function checks every upload in one request, whatever happened on the way.",
)
def there_now(function: Any) -> None:
    """Write a function that tells from the feed which instances are there now."""
    for told, expected in FEEDS:
        got = result_of(function, entries(*told))
        expect_type(got, set, list, tuple)
        if set(got) != expected:
            lines = "; ".join(told)
            raise NotYet(
                f"The feed says: {lines}. We got {describe(sorted(set(map(str, got))))}: {nudge(got, expected)}"
            )
        if len(got) != len(set(got)):
            raise NotYet("An instance is named twice. A set holds each of them once.")


def nudge(got: Any, expected: set[str]) -> str:
    if set(got) - expected:
        return "one of them is gone, or is no instance."
    return "one that is there is missing. Was it stored again, or changed?"
