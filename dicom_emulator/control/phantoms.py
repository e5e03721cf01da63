"""Pictures of nobody, drawn with ellipses and rods: what the synthetic instances show.

Coordinates run from -1 to 1 from left to right (x), from top to bottom (y) and along the body (z).
"""

from collections.abc import Iterable

import numpy

Picture = numpy.ndarray  # (rows, columns), or (rows, columns, 3) in colour
Point = tuple[float, float]


def plane(rows: int, columns: int) -> tuple[Picture, Picture]:
    """x and y of each pixel; the longer side runs from -1 to 1."""
    y, x = numpy.mgrid[:rows, :columns].astype(float)
    half = max(rows, columns) / 2
    return (x - columns / 2 + 0.5) / half, (y - rows / 2 + 0.5) / half


def noise(rows: int, columns: int, seed: int) -> Picture:
    """The same grain for the same seed, around 0 with a deviation of 1."""
    return numpy.random.RandomState(seed).standard_normal((rows, columns))


def smooth(picture: Picture, times: int = 1) -> Picture:
    """Each pixel becomes the mean of its neighbourhood."""
    for _ in range(times):
        for axis in (0, 1):
            picture = (numpy.roll(picture, 1, axis) + 2 * picture + numpy.roll(picture, -1, axis)) / 4
    return picture


def ellipse(x: Picture, y: Picture, centre: Point, radii: Point, turned: float = 0) -> Picture:
    """How far inside each pixel is: 1 in the centre, 0 on the edge, negative outside. `turned`: degrees."""
    angle = numpy.radians(turned)
    right, down = x - centre[0], y - centre[1]
    along = right * numpy.cos(angle) + down * numpy.sin(angle)
    across = down * numpy.cos(angle) - right * numpy.sin(angle)
    return 1 - numpy.hypot(along / radii[0], across / radii[1])


def rod(x: Picture, y: Picture, start: Point, end: Point, radius: float, tip: float | None = None) -> Picture:
    """As above, for a rod with round ends that is `radius` thick at its start and `tip` at its end."""
    length = numpy.array(end) - start
    part = ((x - start[0]) * length[0] + (y - start[1]) * length[1]) / (length @ length)
    part = part.clip(0, 1)
    thickness = radius + part * ((radius if tip is None else tip) - radius)
    return 1 - numpy.hypot(x - start[0] - part * length[0], y - start[1] - part * length[1]) / thickness


def edge(inside: Picture, width: float = 0.05) -> Picture:
    """1 inside, 0 outside, and a ramp between."""
    return (inside / width).clip(0, 1)


def chest_ct(size: int, z: float, seed: int) -> Picture:
    """A slice through a chest in Hounsfield units; z: -1 at the neck to 1 at the belly."""
    x, y = plane(size, size)
    picture = numpy.full((size, size), -1000.0)

    def put(inside: Picture, value: float, width: float = 0.03) -> None:
        part = edge(inside, width)
        picture[:] = picture * (1 - part) + value * part

    wide = 0.78 + 0.1 * numpy.sin((z + 1) * 1.2)
    put(ellipse(x, y, (0, 0), (wide, 0.62)), -90)  # fat
    put(ellipse(x, y, (0, 0), (wide - 0.06, 0.55)), 50)  # muscle
    lung = max(0.05, 1 - ((z + 0.1) / 0.95) ** 2) ** 0.5
    for side in (-1, 1):
        put(ellipse(x, y, (side * 0.4, 0), (0.29 * lung, 0.44 * lung), side * -8), -830)
        for number in range(7):  # ribs
            angle = numpy.radians(25 + number * 26 + 8 * z)
            centre = side * (wide - 0.1) * numpy.sin(angle), -0.49 * numpy.cos(angle)
            put(ellipse(x, y, centre, (0.075, 0.03), side * (numpy.degrees(angle))), 520)
        for branch in range(4):  # vessels in the lungs
            end = side * (0.3 + 0.25 * lung), (-0.3 + 0.2 * branch) * lung
            part = rod(x, y, (side * 0.16, 0.02), end, 0.022, 0.008)
            put(part * (numpy.abs(x) < 0.4 + 0.25 * lung), 30, 0.3)
    if z < 0.6:  # heart, larger towards its middle
        put(ellipse(x, y, (0.1, -0.12), (0.27 * (1.1 - abs(z - 0.1)), 0.23 * (1.1 - abs(z - 0.1))), 25), 110)
        put(ellipse(x, y, (0.14, -0.1), (0.11, 0.09), 25), 190)
    else:  # liver and stomach
        put(ellipse(x, y, (-0.28, -0.05), (0.42, 0.36), 10), 65)
        put(ellipse(x, y, (0.36, -0.15), (0.2, 0.17)), 15)
        put(ellipse(x, y, (0.36, -0.22), (0.13, 0.07)), -950)
    put(ellipse(x, y, (0.06, 0.2), (0.065, 0.065)), 230)  # aorta
    if z < 0.1:
        put(ellipse(x, y, (0, 0.05), (0.045, 0.05)), -990)  # trachea
    put(ellipse(x, y, (0, 0.36), (0.14, 0.11)), 380)  # spine
    put(ellipse(x, y, (0, 0.36), (0.11, 0.085)), 250)
    put(rod(x, y, (0, 0.46), (0, 0.55), 0.035, 0.02), 600)
    put(ellipse(x, y, (0, 0.45), (0.045, 0.04)), 20)
    put(ellipse(x, y, (0, -0.5), (0.09, 0.03)), 450)  # sternum
    bed = ellipse(x, y, (0, -0.3), (1.35, 1.1))
    put((0.02 - numpy.abs(bed)) * (y > 0.68) * 20, -200, 0.2)
    return picture + 9 * smooth(noise(size, size, seed))


def lesion(picture: Picture, radius: float) -> Picture:
    """A chest slice with a round spot in a lung, for the course of a disease."""
    x, y = plane(*picture.shape)
    part = edge(ellipse(x, y, (-0.46, -0.14), (radius, radius)), 0.1)
    return picture * (1 - part) + 40 * part


def head_mr(size: int, z: float, weights: dict[str, float], seed: int) -> Picture:
    """A slice through a head, 0 to 1. weights: how bright "fat", "white", "grey" and "fluid" are."""
    x, y = plane(size, size)
    picture = numpy.zeros((size, size))
    shrink = (1 - (0.75 * z) ** 2) ** 0.5

    def put(inside: Picture, value: float, width: float = 0.05) -> None:
        part = edge(inside, width)
        picture[:] = picture * (1 - part) + value * part

    def scaled(radii: Point) -> Point:
        return radii[0] * shrink, radii[1] * shrink

    put(ellipse(x, y, (0, 0), scaled((0.76, 0.93))), weights["fat"])
    put(ellipse(x, y, (0, 0), scaled((0.71, 0.88))), 0.04)  # skull
    put(ellipse(x, y, (0, 0), scaled((0.66, 0.83))), weights["fluid"])
    angle = numpy.arctan2(y, x)
    folds = 0.025 * numpy.sin(23 * angle + 4 * z) + 0.018 * numpy.sin(37 * angle - 3 * z)
    inside = ellipse(x, y, (0, 0), scaled((0.63, 0.8)))
    put(inside + folds, weights["grey"], 0.03)
    put(inside - 0.13 + 3.2 * folds * (0.3 + inside.clip(0, 1)), weights["white"], 0.06)
    put((0.013 - numpy.abs(x)) * (numpy.abs(y) > 0.3) * (inside > 0.01), weights["fluid"], 0.012)
    for side in (-1, 1):
        put(ellipse(x, y, (side * 0.2 * shrink, 0.06), scaled((0.1, 0.17)), side * -12), weights["grey"])
        put(ellipse(x, y, (side * 0.1 * shrink, -0.17), scaled((0.055, 0.24)), side * -14), weights["fluid"])
        put(ellipse(x, y, (side * 0.14 * shrink, 0.3), scaled((0.055, 0.19)), side * 22), weights["fluid"])
    return (picture + 0.012 * noise(size, size, seed)).clip(0, 1)


def hand_xray(rows: int, columns: int, seed: int) -> Picture:
    """How much of the rays a hand stops, 0 to 1."""
    x, y = plane(rows, columns)
    flesh, bone = numpy.zeros((rows, columns)), numpy.zeros((rows, columns))

    def add(to: Picture, part: Picture) -> None:
        numpy.maximum(to, part.clip(0, 1) ** 0.5, out=to)

    def bone_between(start: Point, end: Point, radius: float) -> None:
        add(bone, 0.75 * rod(x, y, start, end, radius))
        for tip in (start, end):
            add(bone, ellipse(x, y, tip, (radius * 1.5, radius * 1.3)))

    add(flesh, rod(x, y, (0.0, 0.4), (0.02, 0.1), 0.31, 0.36))
    add(flesh, rod(x, y, (0.0, 1.1), (0.0, 0.5), 0.21, 0.24))
    fingers: Iterable[tuple[Point, Point, float]] = [
        ((-0.27, 0.0), (-0.47, -0.52), 0.076),
        ((-0.1, -0.06), (-0.17, -0.78), 0.086),
        ((0.08, -0.07), (0.09, -0.86), 0.09),
        ((0.25, -0.02), (0.36, -0.74), 0.084),
        ((0.24, 0.33), (0.62, -0.13), 0.1),
    ]
    for knuckle, tip, radius in fingers:
        thumb = knuckle[1] > 0.2
        towards = numpy.array(tip) - knuckle
        add(flesh, rod(x, y, knuckle, tip, radius * 1.15, radius * 0.9))
        joints = [0.0, 0.55, 0.97] if thumb else [0.0, 0.44, 0.74, 0.97]
        points = [tuple(numpy.array(knuckle) + part * towards) for part in joints]
        for number, (start, end) in enumerate(zip(points, points[1:], strict=False)):
            gap = 0.016 * towards / numpy.hypot(*towards)
            bone_between(tuple(start + gap), tuple(end - gap), radius * (0.4 - 0.06 * number))
        wrist = (0.14, 0.44) if thumb else (knuckle[0] * 0.42, 0.42)
        back = 0.03 * (numpy.array(wrist) - knuckle)
        bone_between(wrist, tuple(numpy.array(knuckle) + back), radius * 0.42)
    for number in range(8):  # carpal bones
        add(bone, ellipse(x, y, (-0.13 + 0.085 * (number % 4), 0.5 + 0.085 * (number // 4)), (0.048, 0.045)))
    bone_between((-0.1, 1.1), (-0.11, 0.7), 0.05)
    bone_between((0.09, 1.1), (0.08, 0.69), 0.075)
    return (0.42 * smooth(flesh) + 0.5 * smooth(bone) + 0.012 * noise(rows, columns, seed)).clip(0, 1)


def vessels(rows: int, columns: int, reach: float, start: Point, angle: float, seed: int) -> Picture:
    """A tree of vessels that grows from `start` to `angle` (degrees); reach: 0, nothing yet, to 1, all of it."""
    x, y = plane(rows, columns)
    dice = numpy.random.RandomState(seed)
    picture = numpy.zeros((rows, columns))

    def grow(point: Point, angle: float, radius: float, length: float, depth: int, age: float) -> None:
        bend = dice.uniform(-18, 18)
        end = point[0] + length * numpy.cos(numpy.radians(angle)), point[1] + length * numpy.sin(numpy.radians(angle))
        if age < reach:
            numpy.maximum(picture, rod(x, y, point, end, radius, radius * 0.85).clip(0, 1) ** 0.5, out=picture)
        if depth:
            for turn in (-24, 26):
                grow(end, angle + turn + bend, radius * 0.74, length * dice.uniform(0.72, 0.9), depth - 1, age + 0.17)

    grow(start, angle, 0.05, 0.34, 5, 0)
    return picture


def ultrasound(rows: int, columns: int, phase: float, seed: int) -> Picture:
    """A beating heart in a fan of speckle, in colour, 0 to 255; phase: 0 to 1 through the beat."""
    x, y = plane(rows, columns)
    depth, angle = numpy.hypot(x, y + 0.78), numpy.degrees(numpy.arctan2(x, y + 0.78))
    fan = (numpy.abs(angle) < 42) & (depth > 0.1) & (depth < 1.5)
    beat = 0.5 - 0.5 * numpy.cos(2 * numpy.pi * phase)
    tissue = 0.45 + 0.25 * numpy.sin(depth * 9) * numpy.cos(angle / 11)
    wall = ellipse(x, y, (0.05, 0.08), (0.36 - 0.03 * beat, 0.5 - 0.03 * beat), 12)
    tissue = numpy.where(wall > 0, 0.75, tissue)
    for centre, radii in (((-0.08, -0.1), (0.13, 0.2)), ((0.17, -0.06), (0.12, 0.22)),
                          ((-0.02, 0.32), (0.11, 0.12)), ((0.22, 0.33), (0.1, 0.11))):  # fmt: skip
        shrink = 1 - 0.3 * beat if centre[1] < 0 else 0.75 + 0.25 * beat
        tissue = numpy.where(ellipse(x, y, centre, (radii[0] * shrink, radii[1] * shrink), 12) > 0, 0.06, tissue)
    speckle = numpy.abs(smooth(noise(rows, columns, seed), 1)) * 1.5 + 0.25
    grey = (255 * (tissue * speckle * numpy.exp(-0.35 * depth)).clip(0, 1) * fan).astype("u1")
    picture = numpy.repeat(grey[..., None], 3, axis=2)
    flow = ellipse(x, y, (0.17, 0.1 - 0.15 * beat), (0.08, 0.2), 12)
    hot = edge(flow, 0.5)[..., None] * (0.25 + 0.75 * abs(2 * beat - 1))
    colour = numpy.array([230, 60, 20] if beat < 0.5 else [20, 90, 235])
    picture = (picture * (1 - hot) + colour * hot).astype("u1")
    wedge = numpy.linspace(255, 0, rows - 24).astype("u1")
    picture[12:-12, 4:9] = wedge[:, None, None]
    return picture


def retina(size: int, right: bool, seed: int) -> Picture:
    """The back of an eye in colour, 0 to 255."""
    x, y = plane(size, size)
    distance = numpy.hypot(x, y)
    grain = 0.03 * smooth(noise(size, size, seed), 3)
    picture = (1.05 - 0.45 * distance**2 + grain)[..., None] * numpy.array([205, 92, 40])

    def paint(part: Picture, colour: tuple[int, int, int]) -> None:
        picture[:] = picture * (1 - part[..., None]) + part[..., None] * numpy.array(colour)

    paint(0.4 * numpy.exp(-((x + 0.25) ** 2 + (y - 0.02) ** 2) / 0.03), (0, 0, 0))  # macula
    for number, angle in enumerate((-128, -52, 52, 128)):
        paint(0.6 * smooth(vessels(size, size, 1, (0.42, 0.0), angle, seed + number)), (120, 20, 12))
    paint(0.85 * edge(ellipse(x, y, (0.42, 0), (0.15, 0.17)), 0.4), (255, 222, 150))  # optic nerve
    picture *= edge(1 - distance / 0.95, 0.04)[..., None]
    return (picture if right else picture[:, ::-1]).clip(0, 255).astype("u1")


def body_heat(rows: int, columns: int, seed: int) -> Picture:
    """A body and what shines in it, 0 to 1: a scan after something was given that shines."""
    x, y = plane(rows, columns)
    picture = numpy.zeros((rows, columns))

    def add(part: Picture, value: float) -> None:
        numpy.maximum(picture, value * part.clip(0, 1) ** 0.6, out=picture)

    add(ellipse(x, y, (0, -0.8), (0.1, 0.13)), 0.5)
    add(rod(x, y, (0, -0.5), (0, 0.0), 0.2, 0.17), 0.45)
    add(rod(x, y, (0, -0.62), (0, 0.1), 0.035), 0.85)  # spine
    for side in (-1, 1):
        add(rod(x, y, (side * 0.2, -0.52), (side * 0.33, 0.05), 0.065, 0.045), 0.4)
        add(rod(x, y, (side * 0.33, 0.05), (side * 0.36, 0.22), 0.04, 0.03), 0.4)
        add(rod(x, y, (side * 0.1, 0.05), (side * 0.12, 0.9), 0.1, 0.05), 0.42)
        add(ellipse(x, y, (side * 0.11, -0.12), (0.05, 0.08), side * 12), 0.95)  # kidneys
        add(ellipse(x, y, (side * 0.12, 0.48), (0.06, 0.05)), 0.7)  # knees
    add(ellipse(x, y, (-0.03, -0.72), (0.05, 0.03)), 0.7)
    add(ellipse(x, y, (0, 0.09), (0.07, 0.05)), 1.0)  # bladder
    add(ellipse(x, y, (0.04, -0.36), (0.08, 0.07), 30), 0.8)  # heart
    return (smooth(picture, 2) + 0.03 * noise(rows, columns, seed) * (picture > 0)).clip(0, 1)


def breast(rows: int, columns: int, left: bool, seed: int) -> Picture:
    """A mammogram, 0 to 1."""
    x, y = plane(rows, columns)
    wall = columns / max(rows, columns)
    inside = ellipse(x, y, (-wall, 0.05), (1.35, 0.82)).clip(0, 1)
    texture = smooth(noise(rows, columns, seed), 12)
    texture = (texture / numpy.abs(texture).max() + 1) / 2
    ducts = vessels(rows, columns, 1, (0.42, 0.06), 180, seed)
    picture = (inside**0.35) * (0.3 + 0.3 * texture + 0.14 * smooth(ducts, 2) * (inside > 0.1))
    picture += 0.3 * edge(0.95 - (x + wall) * 1.6 - (y + 1) * 0.75, 0.2) * (inside > 0)  # muscle
    for number in range(9):
        centre = (
            0.02 + 0.025 * numpy.cos(number * 2.4) * number**0.5,
            0.2 + 0.025 * numpy.sin(number * 2.4) * number**0.5,
        )
        picture += 0.5 * edge(ellipse(x, y, centre, (0.008, 0.008)), 0.3)
    picture = picture.clip(0, 1)
    return picture if left else picture[:, ::-1]


def heat_colours() -> numpy.ndarray:
    """256 colours from black over violet and orange to white: (256, 3), 16 bits each."""
    stops = numpy.array([0, 60, 120, 180, 225, 255])
    colours = numpy.array([[0, 0, 0], [60, 10, 90], [165, 30, 95], [235, 95, 30], [255, 195, 40], [255, 255, 235]])
    entries = numpy.arange(256)
    return numpy.stack([numpy.interp(entries, stops, colours[:, n]) * 257 for n in range(3)], axis=1).astype("<u2")
