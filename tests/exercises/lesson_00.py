"""What is tried on the exercises of lesson 00."""

from tests.exercises.cases import Cases


def untouched_size(instance): ...  # your lines


def size(instance):
    return instance["00280010"]["Value"][0], instance["00280011"]["Value"][0]


CASES = {
    "00.1": Cases(
        untouched=([..., ...],),
        right=[(["square", "triangle"],), (("Green Square", "red triangle"),), ({"triangle", "square"},)],
        mistakes=[
            ((["square", "circle"],), "a series of its own"),
            ((["square"],), "two share"),
            ((["square", "hexagon"],), "called square, triangle and circle"),
            (("square",), "list or tuple or set was asked for"),
        ],
    ),
    "00.2": Cases(
        untouched=(...,),
        right=[(979 * 985 * 3,), (2_892_945,)],
        mistakes=[((979 * 985,), "number of points"), ((3,), "line of facts"), (("2892945",), "int was asked for")],
    ),
    "00.3": Cases(
        untouched=(untouched_size,),
        right=[(size,), (lambda instance: list(size(instance)),)],
        mistakes=[
            ((lambda instance: size(instance)[::-1],), "Rows come first"),
            ((lambda instance: (979, 985),), "we got (979, 985)"),
            ((lambda instance: instance["00280010"]["Value"][0],), "two numbers"),
            ((lambda instance: instance["Rows"],), "KeyError"),
            ((lambda instance: print(end=""),), "return"),
            ((979,), "function"),
        ],
    ),
}
