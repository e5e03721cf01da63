"""Frames: bytes to pixels, pixels to a picture, and what is said when they do not fit."""

import base64
import io
import json
import re
from pathlib import Path

import numpy
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian, JPEG2000Lossless, JPEGLSLossless, RLELossless

from helpers.frames import (
    FrameError,
    Picture,
    decode_frame,
    draw,
    facts,
    read_picture,
    show_film,
    show_frame,
    show_frames,
    show_slider,
    show_strip,
)

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


# -------------------------------------------------------------------------------------------------- transfer syntaxes

GREY = numpy.arange(64 * 64, dtype="<u2").reshape(64, 64) * 13 % 4096
SIGNED = GREY.astype("<i2") - 2000
COLOUR = numpy.stack([numpy.arange(64, dtype="u1").repeat(64).reshape(64, 64) * factor for factor in (1, 2, 3)], -1)


def compressed(pixels: numpy.ndarray, syntax: str) -> tuple[bytes, Dataset]:
    """The code stream of one frame, and the metadata of the uncompressed image."""
    samples = 3 if pixels.ndim == 3 else 1
    bits, signed = 8 * pixels.dtype.itemsize, int(pixels.dtype.kind == "i")
    dataset = layout(64, 64, bits, samples, PixelRepresentation=signed)
    dataset.HighBit, dataset.PixelData = bits - 1, pixels.tobytes()
    if samples == 3:
        dataset.PlanarConfiguration = 0
    metadata = layout(64, 64, bits, samples, PixelRepresentation=signed)
    plugin = {"encoding_plugin": "pydicom"} if syntax == RLELossless else {}
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    dataset["PixelData"].VR = "OW"
    dataset.compress(syntax, generate_instance_uid=False, **plugin)
    return next(generate_frames(dataset.PixelData, number_of_frames=1)), metadata


@pytest.mark.parametrize("pixels", [GREY, SIGNED, COLOUR], ids=["grey", "signed", "colour"])
@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless, JPEGLSLossless], ids=lambda syntax: syntax.name)
def test_a_compressed_frame_has_the_pixels_that_went_in(pixels: numpy.ndarray, syntax: str) -> None:
    frame, metadata = compressed(pixels, syntax)
    assert len(frame) < pixels.nbytes and (decode_frame(frame, metadata, syntax) == pixels).all()


def test_bytes_without_compression_are_read_in_their_order() -> None:
    metadata = layout(64, 64, 16)
    assert (decode_frame(GREY.tobytes(), metadata, ImplicitVRLittleEndian) == GREY).all()
    assert (decode_frame(GREY.astype(">u2").tobytes(), metadata, ExplicitVRBigEndian) == GREY).all()


def test_another_coding_than_the_one_that_is_named() -> None:
    frame, metadata = compressed(GREY, RLELossless)
    with pytest.raises(
        FrameError, match=r"cannot be decoded as JPEG 2000.*this part\? Or ask the server"
    ):
        decode_frame(frame, metadata, JPEG2000Lossless)
    with pytest.raises(FrameError, match=r"Fewer bytes mean a compressed frame"):
        decode_frame(frame, metadata)


@pytest.mark.parametrize("syntax", ["*", "1.2.3", "1.2.840.10008.1.2.4.100", ""])
def test_a_transfer_syntax_without_pictures(syntax: str) -> None:
    with pytest.raises(FrameError, match="is no transfer syntax of pictures. Or ask the server for plain bytes"):
        decode_frame(b"", layout(2, 2), syntax)


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


def test_a_rendered_picture_is_read_in_grey_or_colour() -> None:
    colour = numpy.arange(24, dtype="uint8").reshape(2, 4, 3)
    for mode, pixels in (("RGB", colour), ("L", colour[..., 0])):
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "PNG")
        assert (read_picture(file.getvalue()) == pixels).all(), mode
        transparent = io.BytesIO()
        Image.fromarray(pixels).convert("RGBA").save(transparent, "PNG")
        assert (read_picture(transparent.getvalue()) == pixels).all(), mode


@pytest.mark.parametrize("content", [b"", b"The request headers are not acceptable", b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_picture_is_told(content: bytes) -> None:
    with pytest.raises(FrameError, match=f"these {len(content)} bytes are no PNG or JPEG"):
        read_picture(content)


def test_a_strip_has_its_frames_in_rows(capsys: pytest.CaptureFixture[str], shown: list[Picture]) -> None:
    film = numpy.zeros((7, 10, 20), "uint8")
    film[6] = 255
    show_strip(film, title="dusk, frames 1 to 7", alt="Black six times, then white", columns=3)
    image = Image.open(io.BytesIO(shown[0].png)).convert("L")
    shades = numpy.asarray(image)
    columns = numpy.flatnonzero((shades[60:130] == 0).any(axis=0))
    assert image.height > image.width / 3 and columns[0] < image.width / 4 < image.width * 3 / 4 < columns[-1]
    assert (shades[: image.height * 2 // 3] == 0).any(axis=1).sum() > (shades[image.height * 3 // 4 :] == 0).sum()
    assert capsys.readouterr().out.splitlines() == [
        f"dusk, frames 1 to 7: 7×10×20 uint8, min 0, max 255, sha256 {facts(film, 't').partition('sha256 ')[2]}",
        "Picture: Black six times, then white",
    ]


def test_a_film_moves_and_comes_to_a_standstill(capsys: pytest.CaptureFixture[str], shown: list[Picture]) -> None:
    film = numpy.stack([numpy.full((20, 30), shade, "uint8") for shade in (0, 100, 255)])
    show_film(film, title="dawn", alt="Black becomes white", seconds=0.2, times=2)
    image = Image.open(io.BytesIO(shown[0].png))
    assert (image.n_frames, image.info["duration"], image.info["loop"]) == (3, 200, 2)
    assert 200 < image.height <= 270 and image.width == image.height * 3 // 2
    for number, shade in enumerate((0, 100, 255)):
        image.seek(number)
        assert image.convert("L").getpixel((50, 50)) == shade
    assert capsys.readouterr().out.splitlines()[1:] == ["Picture that moves: Black becomes white"]


def test_a_film_in_colour(shown: list[Picture]) -> None:
    show_film(numpy.full((2, 300, 4, 3), (9, 8, 7), "uint8"), title="t", alt="Brown")
    assert Image.open(io.BytesIO(shown[0].png)).convert("RGB").getpixel((0, 0)) == (9, 8, 7)


def test_a_slider_holds_every_frame_and_says_what_it_shows(capsys: pytest.CaptureFixture[str], shown: list) -> None:
    film = numpy.arange(3 * 20 * 30).reshape(3, 20, 30).astype("uint8")
    show_slider(film, title="dawn", alt='Black becomes "white"')
    html = shown[0]._repr_html_()
    strip = base64.b64decode(re.search('src="data:image/gif;base64,([^"]+)"', html)[1])
    assert (numpy.asarray(Image.open(io.BytesIO(strip)).convert("L")) == numpy.concatenate(film, axis=1)).all()
    assert 'alt="Black becomes &quot;white&quot;"' in html
    assert 'type="range" min="1" max="3" value="1"' in html and "<output>1</output> of 3" in html
    assert "width:390px" in html and "width:300%" in html, "13 dots a pixel; three frames side by side"
    assert capsys.readouterr().out.splitlines()[1:] == ['Picture with a slider: Black becomes "white"']


@pytest.mark.parametrize("film", [numpy.zeros((2, 3, 4, 3), "uint8"), numpy.zeros((2, 3, 4), "int16")])
def test_a_slider_takes_grey_bytes(film: numpy.ndarray) -> None:
    with pytest.raises(FrameError, match="grey frames of 8 bits"):
        show_slider(film, title="t", alt="a")


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[Picture]:
    """What a lesson would show, picture by picture."""
    pictures: list[Picture] = []
    monkeypatch.setattr("IPython.display.display", pictures.append)
    return pictures
