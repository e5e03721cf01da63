"""The exercises of lesson 08: windows, rendered pictures, and from samples to the screen."""

from typing import Any

import numpy
import requests

from helpers.exercises import NotYet, describe, exercise, expect_type, result_of
from helpers.exercises.judging import expect_words


@exercise(
    "08.1",
    hints=[
        "Half of the width lies below the centre, half above it.",
        "The window begins at 300 - 750 and ends at 300 + 750. What lies below is black, what lies above is white.",
    ],
    why="A window spends all shades on the values between its ends. What lies outside loses its differences.",
)
def shades_of_a_window(answer: Any) -> None:
    """Predict what is black, grey and white with centre 300 and width 1500."""
    right = {"air, -1000": "black", "fat, -90": "grey", "muscle, 50": "grey", "metal, 3000": "white"}
    given = expect_words(answer, right, ["black", "grey", "white"])
    wrong = [name for name in right if given[name] != right[name]]
    if wrong:
        raise NotYet(f"You say that {wrong[0]} is {given[wrong[0]]}. Where does the window begin, where does it end?")


@exercise(
    "08.2",
    hints=[
        "Look at the `Accept` header of the request. How many media types does it name?",
        "A rendered picture wants exactly one media type, and no star: image/png or image/jpeg.",
    ],
    why="`/rendered` gives one picture in one form, so it takes one media type and neither a list nor a star.",
)
def rendered_as_png(response: Any) -> None:
    """Repair a request for a rendered picture so that a PNG comes back."""
    expect_type(response, requests.Response)
    asked = response.request.headers.get("Accept")
    if not str(response.url).partition("?")[0].endswith("/rendered"):
        raise NotYet("That was another request. Keep the URL, which ends with /rendered.")
    if response.status_code == 404:
        raise NotYet("404: the triangle is not there. Run the first cells of the lesson again: they store it.")
    if response.status_code == 406:
        raise NotYet(f"406 again. You asked for {asked}. How many forms does that name?")
    if response.status_code != 200:
        raise NotYet(f"The server answered {response.status_code}: {response.text[:100]}")
    if not response.content.startswith(b"\x89PNG"):
        kind = response.headers.get("Content-Type")
        raise NotYet(f"A picture came, as {kind}, since you asked for {asked}. A PNG was asked for.")


@exercise(
    "08.3",
    hints=[
        "First the rescaling, then the window, and last the question whether high samples are dark.",
        'Take the numbers from the data set, such as instance["00281050"]["Value"][0] for the centre. '
        "The function `window` of the lesson gives 0 to 255.",
        "For MONOCHROME1 return 255 minus what the window gave.",
    ],
    why="Rescale, window, invert: every viewer draws grey pictures in these three steps.",
)
def from_samples_to_the_screen(function: Any) -> None:
    """Write a function that takes samples and metadata and returns the shades of grey, 0 to 255."""
    samples = numpy.array([[-30, 0, 10, 20], [40, 60, 80, 200]], dtype="int16")
    rows = [
        (1, 0, [40], [81], "MONOCHROME2", "a plain picture"),
        (2, -20, [60, 500], [101, 90], "MONOCHROME2", "a picture with RescaleSlope 2 and RescaleIntercept -20"),
        (1, 0, [40], [81], "MONOCHROME1", "a MONOCHROME1 picture"),
        (2, -20, [60, 500], [101, 90], "MONOCHROME1", "a rescaled MONOCHROME1 picture"),
    ]
    for slope, intercept, centre, width, photometric, name in rows:
        instance = {
            "00280004": {"vr": "CS", "Value": [photometric]},
            "00281050": {"vr": "DS", "Value": centre},
            "00281051": {"vr": "DS", "Value": width},
            "00281052": {"vr": "DS", "Value": [intercept]},
            "00281053": {"vr": "DS", "Value": [slope]},
        }
        upright = shades(samples, slope, intercept, centre[0], width[0])
        expected = 255 - upright if photometric == "MONOCHROME1" else upright
        got = result_of(function, samples.copy(), instance)
        if not isinstance(got, numpy.ndarray) or got.shape != samples.shape:
            raise NotYet(f"We got {describe(got)}; an array of the shape of the samples was asked for.")
        if near(got, expected):
            continue
        if near(got, 255 - expected):
            raise NotYet(f"For {name}, black and white are the wrong way round.")
        if near(got, shades(samples, 1, 0, centre[0], width[0])):
            raise NotYet(f"For {name}, the window met the stored samples. What comes before the window?")
        if len(centre) > 1 and near(got, shades(samples, slope, intercept, centre[1], width[1])):
            raise NotYet(f"For {name}, you took the second window; the first one was asked for.")
        if numpy.max(got) <= 1:
            raise NotYet(f"For {name}, the shades go from {numpy.min(got)} to {numpy.max(got)}; 255 is white.")
        raise NotYet(
            f"For {name}, the sample {samples[0, 3]} should become {expected[0, 3]:.0f}; we got {got[0, 3]:.0f}."
        )


def shades(samples: numpy.ndarray, slope: float, intercept: float, centre: float, width: float) -> numpy.ndarray:
    """PS3.3 §C.11.1.1.2 and §C.11.2.1.2.1, to 0 … 255."""
    values = samples * float(slope) + intercept
    return (((values - (centre - 0.5)) / (width - 1) + 0.5) * 255).clip(0, 255)


def near(got: numpy.ndarray, expected: numpy.ndarray) -> bool:
    """A shade more or less is a matter of rounding."""
    return bool(numpy.abs(got.astype(float) - expected).max() <= 1.01)
