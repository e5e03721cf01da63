"""A plot with its numbers and its description in words."""

import io
from typing import TYPE_CHECKING

import numpy

from helpers.frames import DOTS_PER_INCH, Picture, facts

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def show_plot(figure: "Figure", numbers: numpy.ndarray, title: str, alt: str) -> None:
    """Draw a matplotlib figure; print the facts about the `numbers` in it, and `alt`, which says what there is to see.

    Nobody compares pixels of letters and lines; the numbers are what a test and a listener can read.

    >>> from matplotlib.figure import Figure
    >>> figure = Figure(figsize=(2, 1))
    >>> bars = figure.subplots().bar([1, 2], [3, 4])
    >>> show_plot(figure, numpy.array([3, 4], "uint8"), title="two bars", alt="The right bar is higher")
    [picture: The right bar is higher]
    two bars: 2×1 uint8, min 3, max 4, sha256 0ce3940bebf2…
    Picture: The right bar is higher
    """
    from IPython.display import display

    png = io.BytesIO()
    figure.savefig(png, format="png", dpi=DOTS_PER_INCH, facecolor="white", metadata={"Software": None})
    display(Picture(png.getvalue(), alt))
    print(facts(numbers if numbers.ndim > 1 else numbers[:, None], title))
    print(f"Picture: {alt}")
