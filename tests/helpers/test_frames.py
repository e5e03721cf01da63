"""Frames: bytes to pixels, pixels to a picture, and what is said when they do not fit."""

import base64
import io
import json
from pathlib import Path

import numpy
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import Dataset

from helpers.frames import FrameError, Picture, decode_frame, draw, facts, show_frame, show_frames

SAMPLES = Path(__file__).parents[2] / "sample_dcms"
PIXELS = 979 * 985 * 3


def layout(rows: int, columns: int, bits: int = 8, samples: int = 1, photometric: str = "", **others: int) -> Dataset:
    dataset = Dataset()
    dataset.Rows, dataset.Columns, dataset.BitsAllocated, dataset.BitsStored = rows, columns, bits, bits
    dataset.SamplesPerPixel, dataset.PixelRepresentation = samples, 0
    dataset.PhotometricInterpretation = photometric or ("RGB" if samples == 3 else "MONOCHROME2")
    for keyword, value in others.items():
        setattr(dataset, keyword, value)
    return dataset


@pytest.mark.parametrize("name", ["red-triangle", "green-square", "blue-circle"])
@pytest.mark.parametrize("as_json", [False, True])
def test_samples(name: str, as_json: bool) -> None:
    dataset = pydicom.dcmread(SAMPLES / f"{name}.dcm")
    metadata = json.loads(dataset.to_json(bulk_data_threshold=10, bulk_data_element_handler=lambda _: "x"))
    pixels = decode_frame(dataset.PixelData[:PIXELS], metadata if as_json else dataset)
    assert pixels.shape == (979, 985, 3) and pixels.dtype == numpy.uint8
    assert (pixels == dataset.pixel_array).all()


def test_grey_of_every_width() -> None:
    for bits, kind in ((8, "u1"), (16, "<u2"), (32, "<u4")):
        pixels = numpy.arange(6, dtype=kind).reshape(2, 3) * 7
        assert (decode_frame(pixels.tobytes(), layout(2, 3, bits)) == pixels).all()


def test_signed_values() -> None:
    pixels = numpy.array([[-1, 2], [-300, 4]], dtype="<i2")
    assert (decode_frame(pixels.tobytes(), layout(2, 2, 16, PixelRepresentation=1)) == pixels).all()


def test_an_odd_number_of_bytes_needs_no_padding() -> None:
    assert decode_frame(bytes(range(9)), layout(3, 3)).tolist() == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]


def test_one_bit_a_pixel() -> None:
    assert decode_frame(b"\x05\x01", layout(3, 3, 1)).tolist() == [[1, 0, 1], [0, 0, 0], [0, 0, 1]]


def test_colour_plane_by_plane() -> None:
    pixels = numpy.arange(12, dtype="u1").reshape(2, 2, 3)
    planes = pixels.transpose(2, 0, 1).tobytes()
    assert (decode_frame(planes, layout(2, 2, samples=3, PlanarConfiguration=1)) == pixels).all()


def test_ybr_becomes_rgb() -> None:
    grey = bytes([76, 85, 255]) * 4  # red, in YBR_FULL
    pixels = decode_frame(grey, layout(2, 2, samples=3, photometric="YBR_FULL"))
    assert numpy.abs(pixels.astype(int) - [254, 0, 0]).max() <= 2


def test_ybr_with_shared_colour() -> None:
    pixels = decode_frame(bytes([76, 76, 85, 255]) * 2, layout(2, 2, samples=3, photometric="YBR_FULL_422"))
    assert pixels.shape == (2, 2, 3) and numpy.abs(pixels.astype(int) - [254, 0, 0]).max() <= 2


@pytest.mark.parametrize(
    ("frame", "cause"),
    [
        (bytes(7), r"= 6 bytes, but there are 7\. One byte more is the pad byte"),
        (b"\xff\xd8\xff\xe0" + bytes(20), "begin like a JPEG: the frame is compressed"),
        (b"\xff\x4f\xff\x51", "begin like a JPEG"),
        (b"\0\0\0\x0cjP  \r\n", "begin like a JPEG"),
        (bytes(5), "there are 5. Fewer bytes mean a compressed frame"),
        (bytes(12), "there are 12. More bytes mean several frames in one"),
    ],
)
def test_wrong_number_of_bytes(frame: bytes, cause: str) -> None:
    with pytest.raises(FrameError, match=f"2 rows × 3 columns × 1 samples × 8 bits.*{cause}|{cause}"):
        decode_frame(frame, layout(2, 3))


def test_numbers_in_the_message() -> None:
    with pytest.raises(FrameError, match="979 rows × 985 columns × 3 samples × 8 bits = 2892945 bytes.*are 2892946"):
        decode_frame(bytes(PIXELS + 1), layout(979, 985, samples=3))


def test_metadata_that_is_too_short_or_a_list() -> None:
    with pytest.raises(FrameError, match="the metadata has no SamplesPerPixel.*take the instance's /metadata"):
        decode_frame(b"", {"00080018": {"vr": "UI", "Value": ["1.2.3"]}})
    with pytest.raises(FrameError, match=r"metadata\[0\]"):
        decode_frame(b"", [{}])  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------------------------------ pictures


def test_facts_of_colour() -> None:
    pixels = numpy.zeros((4, 5, 3), "uint8")
    pixels[0, 0] = 9
    assert facts(pixels, "t").startswith("t: 4×5×3 uint8, min 0, max 9, sha256 ")


def test_facts_tell_pixels_apart() -> None:
    pixels = numpy.zeros((4, 5), "uint8")
    other = pixels.copy()
    other[1, 1] = other[2, 2] = 1
    third = pixels.copy()
    third[1, 1] = third[3, 3] = 1
    assert facts(other, "t") != facts(third, "t")


def test_a_picture_is_small_light_and_the_same_each_time() -> None:
    pixels = pydicom.dcmread(SAMPLES / "red-triangle.dcm").pixel_array
    png = draw({"red-triangle, frame 1": pixels})
    assert png == draw({"red-triangle, frame 1": pixels})
    image = Image.open(io.BytesIO(png))
    assert len(png) < 25_000 and 200 < image.width < 500
    assert set(image.info) <= {"dpi"}, "no date, no software in the file"
    corner, middle = image.convert("RGB").getpixel((0, 0)), image.convert("RGB").getpixel((image.width // 2, 180))
    assert corner == (255, 255, 255) and middle == (237, 28, 36)


def test_pixels_are_square_and_titles_fit() -> None:
    wide = numpy.tile(numpy.array([0, 255], "uint8"), (50, 50))
    shades = numpy.asarray(Image.open(io.BytesIO(draw({"wide": wide}))).convert("L"))
    columns = numpy.flatnonzero((shades[100:200] < 250).any(axis=0))
    rows = numpy.flatnonzero((shades[:, 10:100] < 250).any(axis=1))  # left of the title
    assert (columns[-1] - columns[0]) / (rows[-1] - rows[0]) == pytest.approx(2, rel=0.05)


@pytest.mark.parametrize("kind", ["uint16", "int16", "bool", "float32"])
def test_other_types_are_drawn_from_darkest_to_brightest(kind: str) -> None:
    pixels = numpy.array([[0, 0, 1, 1]] * 4).astype(kind)
    shades = numpy.asarray(Image.open(io.BytesIO(draw({"t": pixels}))).convert("L"))
    assert (shades[100:200] == 0).any() and (shades == 255).any()


def test_deep_colour_is_drawn() -> None:
    pixels = numpy.full((4, 4, 3), (65_535, 0, 13_107), "uint16")
    assert Image.open(io.BytesIO(draw({"t": pixels}))).convert("RGB").getpixel((150, 150)) == (255, 0, 51)


def test_eight_bits_are_not_stretched() -> None:
    pixels = numpy.array([[100, 100], [100, 130]], "uint8")
    assert Image.open(io.BytesIO(draw({"t": pixels}))).convert("L").getpixel((100, 100)) == 100


def test_description_for_every_front_end() -> None:
    data, metadata = Picture(b"png", "A square")._repr_mimebundle_()
    assert data == {"image/png": base64.b64encode(b"png").decode(), "text/plain": "[picture: A square]"}
    assert metadata == {"image/png": {"alt": "A square"}}, "this is where nbconvert looks"


def test_show_frame_prints_facts_and_description(capsys: pytest.CaptureFixture[str]) -> None:
    show_frame(numpy.zeros((2, 3), "uint8"), title="night, frame 1", alt="Nothing but black")
    assert capsys.readouterr().out == (
        "[picture: Nothing but black]\n"
        "night, frame 1: 2×3 uint8, min 0, max 0, sha256 b0f66adc8364…\n"
        "Picture: Nothing but black\n"
    )


def test_show_frames_prints_facts_of_each(capsys: pytest.CaptureFixture[str]) -> None:
    black, white = numpy.zeros((2, 3), "uint8"), numpy.full((2, 3), 255, "uint8")
    show_frames({"night": black, "day": white}, alt="Black, then white")
    out = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in out[1:]] == ["night", "day", "Picture"]
