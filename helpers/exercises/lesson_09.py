"""The exercises of lesson 09: empty and absent, a tag without quotes, and a walk through a data set."""

from typing import Any

import requests

from helpers.exercises import NotYet, describe, exercise, expect_type, result_of
from helpers.exercises.judging import expect_words


@exercise(
    "09.1",
    hints=[
        "Look up the tag of each keyword: tag_of(keyword). Is it a key of what was sent?",
        "A key whose object has no `Value` is empty. A `Value` of [0] is a value: the number zero.",
    ],
    why="Empty means that nobody knows; absent means that nobody asked; zero is an answer.",
)
def states_of_attributes(answer: Any) -> None:
    """Predict which attributes have a value, are empty, or are absent."""
    right = {"PatientName": "empty", "PatientID": "value", "PatientSex": "absent", "Rows": "value"}
    given = expect_words(answer, right, ["value", "empty", "absent"])
    for keyword, state in right.items():
        if given[keyword] == state:
            continue
        if keyword == "Rows":
            raise NotYet(f"Rows is not {given[keyword]}. Look at what stands in its `Value`.")
        raise NotYet(f"{keyword} is not {given[keyword]}. Is its tag a key, and does the object have a `Value`?")


@exercise(
    "09.2",
    hints=[
        "Two things are wrong: the name of one header, and its value.",
        "The header is If-None-Match, and the ETag goes back as it came, without quotes.",
    ],
    why="The server compares the ETag as one text, so it has to come back character by character.",
)
def a_request_that_is_answered_with_304(response: Any) -> None:
    """Repair a request for metadata so that the server answers 304."""
    expect_type(response, requests.Response)
    if not str(response.url).endswith("/metadata"):
        raise NotYet("That was another request. Keep the URL, which ends with /metadata.")
    if response.status_code == 304:
        return
    if response.status_code == 404:
        raise NotYet("404: the study is not there. Run the first cells of the lesson again: they store it.")
    if response.status_code == 406:
        raise NotYet("406: the Accept header got lost. Both headers are needed.")
    if response.status_code != 200:
        raise NotYet(f"The server answered {response.status_code}: {response.text[:100]}")
    tag = response.request.headers.get("If-None-Match")
    if tag is None:
        sent = ", ".join(sorted(name for name in response.request.headers if name.startswith("If-")))
        raise NotYet(
            f"The whole body came. Which header asks whether something is new? You sent {sent or 'none of the kind'}."
        )
    tag = tag.decode("latin-1") if isinstance(tag, bytes) else tag
    if '"' in tag:
        raise NotYet("The whole body came. The header is right; compare it with the ETag, character by character.")
    raise NotYet("The whole body came: the ETag that you sent is not the one that the server has now. Fetch it anew.")


@exercise(
    "09.3",
    hints=[
        "An element is empty when it has no `Value`, or when that list has no items.",
        'For an element whose vr is "SQ", each item of `Value` is an object like the one that your function takes.',
        "Let the function call itself for each item, and add what it returns to the list.",
    ],
    why="Sequences may lie in sequences, to any depth; a function that calls itself follows them all.",
)
def tags_of_empty_attributes(function: Any) -> None:
    """Write a function that lists the tags of all empty attributes, those in sequences too."""
    deep = {"00401001": {"vr": "SH"}, "00321064": {"vr": "SQ", "Value": [{"00080104": {"vr": "LO"}}]}}
    filled = {"00080100": {"vr": "SH", "Value": ["X"]}}
    rows = [
        ({"00100010": {"vr": "PN"}, "00100020": {"vr": "LO", "Value": ["ID7"]}}, ["00100010"], "empty name"),
        ({"00280010": {"vr": "US", "Value": [0]}, "00100040": {"vr": "CS"}}, ["00100040"], "zero that is a value"),
        ({"00100020": {"vr": "LO", "Value": ["ID7"]}}, [], "full data set"),
        ({"00081140": {"vr": "SQ"}, "00100040": {"vr": "CS"}}, ["00081140", "00100040"], "sequence without items"),
        ({"00400275": {"vr": "SQ", "Value": [filled, {"00401001": {"vr": "SH"}}]}}, ["00401001"], "second item"),
        ({"00400275": {"vr": "SQ", "Value": [deep]}}, ["00080104", "00401001"], "sequence in a sequence"),
    ]
    for instance, expected, name in rows:
        got = result_of(function, instance)
        if not isinstance(got, list | tuple | set):
            raise NotYet(f"We got {describe(got)}; a list of tags was asked for.")
        given = sorted(map(str, got))
        if given == expected:
            continue
        lacking = [tag for tag in expected if tag not in given]
        extra = [tag for tag in given if tag not in expected]
        what = f"{lacking[0]} is missing" if lacking else f"{extra[0]} is not empty" if extra else "a tag came twice"
        raise NotYet(f"On a data set with a {name}: we got {given}. {what}.")
