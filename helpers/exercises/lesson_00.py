"""The exercises of lesson 00: the tree of studies, series and instances, and the bytes of a picture."""

from typing import Any

from helpers.exercises import NotYet, describe, exercise, expect_type, result_of


@exercise(
    "00.1",
    hints=[
        "Look at the tree that the lesson prints: which two stand under the same series?",
        "The circle stands alone. The other two share the series that ends with 632652.",
    ],
    why="A series holds pictures that were taken together, so a viewer shows it as one stack.",
)
def shapes_of_a_series(answer: Any) -> None:
    """Name the two shapes that share a series."""
    expect_type(answer, list, tuple, set)
    given = {str(shape).strip().lower() for shape in answer}
    if not given <= {"square", "triangle", "circle", "green square", "red triangle", "blue circle"}:
        raise NotYet(f"We got {sorted(given)}. The three shapes are called square, triangle and circle.")
    shapes = {shape.split()[-1] for shape in given}
    if len(shapes) != 2:
        raise NotYet(f"We got {len(shapes)} of them; two share a series.")
    if shapes != {"square", "triangle"}:
        raise NotYet("One of these two has a series of its own. Follow the lines of the tree upwards.")


@exercise(
    "00.2",
    hints=[
        "Each point of the picture has three numbers, for red, green and blue, of one byte each.",
        "Multiply the number of rows, the number of columns and the number of colours.",
    ],
    why="Raw pixels have no header: whoever knows rows, columns and colours knows where each byte belongs.",
)
def bytes_of_a_picture(answer: Any) -> None:
    """Compute how many bytes one of the sample pictures has."""
    expect_type(answer, int)
    if answer == 979 * 985:
        raise NotYet("That is the number of points. How many numbers does each point have?")
    if answer != 979 * 985 * 3:
        raise NotYet(f"We got {answer:,}. The line of facts under the pictures says rows, columns and colours.")


@exercise(
    "00.3",
    hints=[
        "The metadata of an instance is a dictionary. Its keys are tags: 00280010 is the number of rows.",
        'An attribute keeps its values in a list: instance["00280010"]["Value"][0] is the first. Columns are 00280011.',
    ],
    why="Metadata tells you what a picture is like before you fetch a single pixel of it.",
)
def size_from_metadata(function: Any) -> None:
    """Write a function that takes the metadata of an instance and returns its rows and columns."""
    for rows, columns in ((979, 985), (512, 256)):
        instance = {"00280010": {"vr": "US", "Value": [rows]}, "00280011": {"vr": "US", "Value": [columns]}}
        size = result_of(function, instance)
        if not isinstance(size, tuple | list) or len(size) != 2:
            raise NotYet(f"We got {describe(size)}; two numbers were asked for: return rows, columns.")
        if tuple(size) == (columns, rows):
            raise NotYet("Rows come first, then columns.")
        if tuple(size) != (rows, columns):
            raise NotYet(f"For {rows} rows and {columns} columns we got {tuple(size)}.")
