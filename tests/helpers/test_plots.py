"""Plots, with their numbers and their description in words."""

import io

import numpy
import pytest
from matplotlib.figure import Figure
from PIL import Image

from helpers import show_plot
from helpers.frames import Picture


def bars() -> Figure:
    figure = Figure(figsize=(3, 2))
    figure.subplots().bar(["a", "b"], [3, 4])
    return figure


def test_it_prints_the_facts_about_the_numbers_and_the_description(capsys: pytest.CaptureFixture[str]) -> None:
    show_plot(bars(), numpy.array([[3, 4], [0, 9]], "uint8"), title="counts", alt="Two bars")
    assert "counts: 2×2 uint8, min 0, max 9, sha256 " in (printed := capsys.readouterr().out)
    assert printed.endswith("Picture: Two bars\n")


def test_the_picture_has_the_size_of_the_figure_and_a_description(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Picture] = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    show_plot(bars(), numpy.array([3, 4]), title="counts", alt="Two bars")
    (picture,) = shown
    assert Image.open(io.BytesIO(picture.png)).size == (300, 200) and picture.alt == "Two bars"
