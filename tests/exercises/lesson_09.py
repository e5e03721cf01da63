"""What is tried on the exercises of lesson 09."""

import requests

from tests.exercises.cases import Cases

STATES = {"PatientName": "empty", "PatientID": "value", "PatientSex": "absent", "Rows": "value"}


def reply(status: int, path: str = "/metadata", **headers: str) -> requests.Response:
    """What the server answers to a request with these headers; `_` stands for `-` in their names."""
    url = f"http://127.0.0.1/v2/studies/1.2{path}"
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    response = requests.Response()
    response.request = requests.Request("GET", url, headers=sent).prepare()
    response.url, response.status_code = url, status
    response._content, response._content_consumed = b"" if status == 304 else b"[{}]", True
    return response


def untouched_empty_tags(instance): ...  # your lines


def empty_tags(instance):
    found = []
    for tag, element in instance.items():
        if not element.get("Value"):
            found.append(tag)
        elif element["vr"] == "SQ":
            found += [inner for item in element["Value"] for inner in empty_tags(item)]
    return found


def with_a_stack(instance):
    found, left = [], [instance]
    while left:
        for tag, element in left.pop().items():
            values = element.get("Value", [])
            left += values if element["vr"] == "SQ" else []
            found += [] if values else [tag]
    return tuple(sorted(found))


def only_the_top(instance):
    return [tag for tag, element in instance.items() if "Value" not in element]


def first_item_only(instance):
    found = only_the_top(instance)
    for element in instance.values():
        if element["vr"] == "SQ" and element.get("Value"):
            found += first_item_only(element["Value"][0])
    return found


def no_sequences(instance):
    return [tag for tag, element in instance.items() if element["vr"] != "SQ" and "Value" not in element]


def zero_is_empty(instance):
    return [tag for tag, element in instance.items() if not any(element.get("Value", []))]


CASES = {
    "09.1": Cases(
        untouched=(dict.fromkeys(STATES, ...),),
        right=[(STATES,), ({keyword: state.title() for keyword, state in STATES.items()},)],
        mistakes=[
            (({**STATES, "Rows": "empty"},), "Look at what stands in its `Value`"),
            (({**STATES, "PatientSex": "empty"},), "PatientSex is not empty. Is its tag a key"),
            (({**STATES, "PatientName": "absent"},), "PatientName is not absent"),
            (({**STATES, "PatientName": "missing"},), "We got missing"),
            (({"Rows": "value"},), "keep the four"),
            ((["empty"],), "dict was asked for"),
        ],
    ),
    "09.2": Cases(
        untouched=(...,),
        right=[(reply(304, If_None_Match="57-2"),), (reply(304, if_none_match="57-2"),)],
        mistakes=[
            ((reply(200, If_Match='"57-2"'),), "Which header asks whether something is new? You sent If-Match"),
            ((reply(200),), "You sent none of the kind"),
            ((reply(200, If_None_Match='"57-2"'),), "character by character"),
            ((reply(200, If_None_Match="57-1"),), "Fetch it anew"),
            ((reply(406, If_None_Match="57-2"),), "the Accept header got lost"),
            ((reply(404, If_None_Match="57-2"),), "Run the first cells"),
            ((reply(403, If_None_Match="57-2"),), "The server answered 403"),
            ((reply(200, path="", If_None_Match="57-2"),), "Keep the URL"),
            ((304,), "Response was asked for"),
        ],
    ),
    "09.3": Cases(
        untouched=(untouched_empty_tags,),
        right=[(empty_tags,), (with_a_stack,)],
        mistakes=[
            ((only_the_top,), "second item: we got []. 00401001 is missing"),
            ((first_item_only,), "00401001 is missing"),
            ((no_sequences,), "00081140 is missing"),
            ((zero_is_empty,), "zero that is a value: we got ['00100040', '00280010']. 00280010 is not empty"),
            ((lambda instance: empty_tags(instance) * 2,), "a tag came twice"),
            ((lambda instance: ", ".join(empty_tags(instance)),), "a list of tags"),
            ((lambda instance: [tag for tag in instance if not instance[tag]["Value"]],), "KeyError"),
            ((lambda instance: print(end=""),), "return"),
            (([],), "A function was asked for"),
        ],
    ),
}
