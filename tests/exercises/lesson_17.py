"""What is tried on the exercises of lesson 17."""

from typing import Any

from pydicom.uid import generate_uid

from tests.exercises.cases import Cases

REQUESTS = (
    "a good file",
    "a good file and a text",
    "a text alone",
    "a file that is stored already",
    "the UIDs of a stored file, other pixels",
    "a good file whose PatientID is empty",
)


def predicted(*statuses: Any) -> dict[str, Any]:
    return dict(zip(REQUESTS, statuses, strict=True))


def untouched_uid(uid): ...


def with_a_dictionary():
    known = {}

    def new_uid(uid):
        if uid.startswith("1.2.840.10008."):
            return uid
        return known.setdefault(uid, generate_uid())

    return new_uid


def from_a_secret(uid):
    if uid.startswith("1.2.840.10008"):
        return uid
    return str(generate_uid(entropy_srcs=["a secret", uid]))


def standard_ones_too(uid):
    return generate_uid(entropy_srcs=["a secret", uid])


def untouched_traces(data_set, words): ...


def traces(data_set, words):
    found = set()
    for element in data_set.iterall():
        if any(word.lower() in str(element.value).lower() for word in words):
            found.add(element.keyword)
    return found


def by_hand(data_set, words):
    found = []
    for element in data_set:
        if element.VR == "SQ":
            for item in element.value:
                found += by_hand(item, words)
        elif any(word.lower() in str(element.value).lower() for word in words):
            found.append(element.keyword)
    return found


def at_the_top(data_set, words):
    return [each.keyword for each in data_set if each.VR != "SQ" and words[0] in str(each.value).lower()]


def first_word(data_set, words):
    return traces(data_set, words[:1])


def case_sensitive(data_set, words):
    return {each.keyword for each in data_set.iterall() if any(word in str(each.value) for word in words)}


def untouched_now(events): ...


def current(events):
    return {event["sopInstanceUid"] for event in events if event["state"] == "Current"}


def last_action(events):
    last = {event["sopInstanceUid"]: event["action"].lower() for event in events}
    return [uid for uid, action in last.items() if action != "delete"]


def created(events):
    return {event["sopInstanceUid"] for event in events if event["action"] == "Create"}


def never_deleted(events):
    gone = {event["sopInstanceUid"] for event in events if event["action"] == "Delete"}
    return created(events) - gone


def only_created(events):
    return {each["sopInstanceUid"] for each in events if each["state"] == "Current" and each["action"] == "Create"}


CASES = {
    "17.1": Cases(
        untouched=(predicted(..., ..., ..., ..., ..., ...),),
        right=[(predicted(200, 202, 409, 409, 409, 202),)],
        mistakes=[
            ((predicted(200, 200, 409, 409, 409, 202),), "One is stored, and one is not"),
            ((predicted(200, 202, 415, 409, 409, 202),), "Is anything stored?"),
            ((predicted(200, 202, 409, 200, 409, 202),), "POST replaces nothing"),
            ((predicted(200, 202, 409, 409, 200, 202),), "look at pixels"),
            ((predicted(200, 202, 409, 409, 409, 409),), "a weak value"),
            ((predicted("200", 202, 409, 409, 409, 202),), "we got '200'"),
            (([200],), "dict was asked for"),
        ],
    ),
    "17.2": Cases(
        untouched=(untouched_uid,),
        right=[(with_a_dictionary(),), (from_a_secret,)],
        mistakes=[
            ((lambda uid: generate_uid(),), "two different ones came out"),
            ((lambda uid: uid,), "An old UID came out again"),
            ((lambda uid: "2.25.1",), "two instances become one"),
            ((lambda uid: f"2.25.9.{uid}",), "The old UID still stands"),
            ((standard_ones_too,), "nobody can read the file any more"),
            ((lambda uid: f"2.25.0{len(uid)}",), "digits and dots"),
            ((lambda uid: print(end=""),), "return"),
            (("2.25.1",), "A function was asked for"),
        ],
    ),
    "17.3": Cases(
        untouched=(untouched_traces,),
        right=[(traces,), (by_hand,)],
        mistakes=[
            ((at_the_top,), "3 of 4 were found. A sequence holds data sets"),
            ((lambda data_set, words: ["PatientName"],), "Nothing of it stands in this data set"),
            ((lambda data_set, words: [],), "A name is an object"),
            ((case_sensitive,), "Capital and small letters"),
            ((first_word,), "With several words one is enough"),
            ((lambda data_set, words: len(data_set),), "list or set or tuple was asked for"),
        ],
    ),
    "17.4": Cases(
        untouched=(untouched_now,),
        right=[(current,), (last_action,)],
        mistakes=[
            ((created,), "one of them is gone"),
            ((never_deleted,), "Was it stored again, or changed?"),
            ((only_created,), "Was it stored again, or changed?"),
            ((lambda events: [each["sopInstanceUid"] for each in events if each["state"] != "Deleted"],), "twice"),
            ((lambda events: len(events),), "set or list or tuple was asked for"),
        ],
    ),
}
