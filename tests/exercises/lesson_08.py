"""What is tried on the exercises of lesson 08."""

import numpy
import requests

from tests.exercises.cases import Cases

SEEN = {"air, -1000": "black", "fat, -90": "grey", "muscle, 50": "grey", "metal, 3000": "white"}


def reply(
    accept: str, status: int = 200, content: bytes = b"\x89PNG\r\n", path: str = "/rendered", kind: str = "image/png"
) -> requests.Response:
    """What the server answers to a request with this Accept header."""
    url = f"http://127.0.0.1/v2/studies/1.2/series/3.4/instances/5.6{path}"
    response = requests.Response()
    response.request = requests.Request("GET", url, headers={"Accept": accept}).prepare()
    response.url, response.status_code = url, status
    response._content, response._content_consumed = content, True
    response.headers["Content-Type"] = kind
    return response


def window(values, centre, width):
    return (((values - (centre - 0.5)) / (width - 1) + 0.5) * 255).clip(0, 255).round().astype("uint8")


def value(instance, tag, which=0):
    return instance[tag]["Value"][which]


def untouched_to_screen(stored, instance): ...  # your lines


def to_screen(stored, instance, rescale=True, which=0, invert=True):
    values = stored * value(instance, "00281053") + value(instance, "00281052") if rescale else stored
    which = which if len(instance["00281050"]["Value"]) > which else 0
    grey = window(values, value(instance, "00281050", which), value(instance, "00281051", which))
    return 255 - grey if invert and value(instance, "00280004") == "MONOCHROME1" else grey


CASES = {
    "08.1": Cases(
        untouched=(dict.fromkeys(SEEN, ...),),
        right=[(SEEN,), ({name: shade.upper() for name, shade in SEEN.items()},), ({**SEEN, "fat, -90": "gray"},)],
        mistakes=[
            (({**SEEN, "fat, -90": "black"},), "that fat, -90 is black"),
            (({**SEEN, "metal, 3000": "grey"},), "where does it end"),
            (({**SEEN, "air, -1000": "dark"},), "We got dark"),
            (({"air": "black"},), "keep the four"),
            ((["black", "grey"],), "dict was asked for"),
        ],
    ),
    "08.2": Cases(
        untouched=(...,),
        right=[(reply("image/png"),), (reply("IMAGE/PNG"),)],
        mistakes=[
            ((reply("image/jpeg, image/png", 406),), "406 again. You asked for image/jpeg, image/png"),
            ((reply("*/*", 406),), "You asked for */*"),
            ((reply("image/jpeg", content=b"\xff\xd8\xff", kind="image/jpeg"),), "as image/jpeg, since you asked for"),
            ((reply("image/png", 404),), "Run the first cells"),
            ((reply("image/png", 400),), "The server answered 400"),
            ((reply("image/png", path="/metadata"),), "Keep the URL"),
            ((b"\x89PNG",), "Response was asked for"),
        ],
    ),
    "08.3": Cases(
        untouched=(untouched_to_screen,),
        right=[(to_screen,), (lambda stored, instance: to_screen(stored, instance).astype(float),)],
        mistakes=[
            ((lambda stored, instance: to_screen(stored, instance, invert=False),), "the wrong way round"),
            ((lambda stored, instance: to_screen(stored, instance, rescale=False),), "What comes before the window?"),
            ((lambda stored, instance: to_screen(stored, instance, which=1),), "the second window"),
            ((lambda stored, instance: to_screen(stored, instance) / 255,), "255 is white"),
            ((lambda stored, instance: to_screen(stored, instance) // 2,), "should become"),
            ((lambda stored, instance: numpy.zeros(3),), "the shape of the samples"),
            ((lambda stored, instance: stored["Rows"],), "Your function ended with"),
            ((window,), "Your function ended with TypeError"),
        ],
    ),
}
