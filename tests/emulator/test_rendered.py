"""Rendered pictures of instances and frames (conformance statement, Retrieve Rendered; PS3.18 §8.7.4, PS3.3 §C.11)."""

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy
import pytest
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut, apply_voi_lut

from tests.emulator.conftest import Service
from tests.emulator.dicom_files import instance, path
from tests.emulator.pictures import (
    BIG_ENDIAN,
    DEFLATED,
    EXPLICIT,
    JPEG_2000,
    JPEG_LOSSLESS,
    JPEG_LS,
    RLE,
    all_files,
    encapsulated,
    is_image,
    picture,
    place,
    samples,
    storable,
    written,
)
from tests.emulator.storing import own_emulator

NOT_ACCEPTABLE = "The request headers are not acceptable"
SEVERAL_RANGES = "The request contains multiple accept headers, which is not supported."
NO_FRAME = "The specified frame cannot be found."
CANNOT_DRAW = "An error was encountered when attempting to convert the dicom file into an image"
BAD_QUALITY = "Image quality must be between 1 and 100 inclusive"
PLAIN_TEXT = "text/plain; charset=utf-8"
JPEG, PNG = "image/jpeg", "image/png"
GREY = (numpy.arange(3 * 20 * 24) * 53 % 4096).astype("uint16").reshape(3, 20, 24)
COLOUR = (numpy.arange(2 * 20 * 24 * 3) * 7 % 256).astype("uint8").reshape(2, 20, 24, 3)

both = pytest.mark.parametrize("version", ["v1", "v2"])
resources = pytest.mark.parametrize("resource", ["rendered", "frames/1/rendered"])
alternately = pytest.mark.parametrize(  # both versions and both resources, where there are many cases
    ("version", "resource"), [("v1", "rendered"), ("v2", "frames/1/rendered")]
)
quiet = pytest.mark.filterwarnings("ignore::UserWarning:pydicom", "ignore::RuntimeWarning")


def ask(
    service: Service, file: bytes, accept: str | None = PNG, resource: str = "rendered", version: str = "v2"
) -> Any:
    headers = {} if accept is None else {"Accept": accept}
    return service.owner.get(f"{service.url}/{version}/{place(file)}/{resource}", headers=headers)


def drawn(response: Any, media_type: str = PNG) -> numpy.ndarray:
    """The picture: (rows, columns) or (rows, columns, 3), 0 to 255."""
    assert response.status_code == 200, response.text
    assert response.headers["Content-Type"] == media_type
    image = Image.open(BytesIO(response.content))
    assert image.format == {JPEG: "JPEG", PNG: "PNG"}[media_type]
    assert image.mode in {"L", "RGB"}
    return numpy.asarray(image)


def rendered(service: Service, file: bytes, frame: int = 1) -> numpy.ndarray:
    """The frame of a file that is not yet stored, as PNG."""
    assert service.store(file).status_code in {200, 202}
    return drawn(ask(service, file, PNG, f"frames/{frame}/rendered"))


def is_close(picture: numpy.ndarray, expected: numpy.ndarray) -> bool:
    return picture.shape == expected.shape and bool(numpy.abs(picture.astype(float) - expected).max() <= 1)


def as_seen(content: bytes, frame: int = 1) -> numpy.ndarray | None:
    """What a viewer shows, by pydicom's own functions, 0 to 255; None where there is nothing to show."""
    frames = samples(content)
    if frames is None:
        return None
    dataset, pixels = dcmread(BytesIO(content), force=True), frames[frame - 1]
    if dataset.PhotometricInterpretation == "PALETTE COLOR":
        colours = apply_color_lut(pixels, dataset)
        return colours / (2 ** (8 * colours.itemsize) - 1) * 255
    if pixels.ndim == 3:
        return pixels / (2**dataset.BitsStored - 1) * 255
    values = apply_modality_lut(pixels, dataset)
    low, high = output_range(dataset) or (values.min(), values.max())
    grey = (apply_voi_lut(values, dataset, prefer_lut=True).astype(float) - low) / (float(high) - low or 1) * 255
    return 255 - grey if dataset.PhotometricInterpretation == "MONOCHROME1" else grey


def output_range(dataset: Dataset) -> tuple[float, float] | None:
    """What black and white are after the VOI LUT, or the first window; None without these."""
    if dataset.get("VOILUTSequence"):
        return 0, 2 ** dataset.VOILUTSequence[0].LUTDescriptor[2] - 1
    if dataset.get("WindowWidth") is None or dataset.get("WindowCenter") is None:
        return None
    return tuple(apply_voi_lut(numpy.array([-1e6, 1e6]), dataset))


def in_window(values: numpy.ndarray, center: float, width: float) -> numpy.ndarray:
    """PS3.3 §C.11.2.1.2.1, worked out without pydicom."""
    return ((values.astype(float) - (center - 0.5)) / (width - 1) + 0.5).clip(0, 1) * 255


def stretched(values: numpy.ndarray) -> numpy.ndarray:
    return (values.astype(float) - values.min()) / (float(values.max()) - values.min()) * 255


class TestRequest:
    @both
    @resources
    @pytest.mark.parametrize(("accept", "media_type"), [(None, JPEG), (JPEG, JPEG), (PNG, PNG)])
    def test_a_picture_comes_in_the_form_asked_for(
        self, service: Service, version: str, resource: str, accept: str | None, media_type: str
    ) -> None:
        file = picture(GREY)
        service.store(file)
        response = ask(service, file, accept, resource, version)
        assert drawn(response, media_type).shape == (20, 24)

    @alternately
    @pytest.mark.parametrize(
        ("accept", "text"),
        [
            ("*/*", NOT_ACCEPTABLE),
            ("image/*", NOT_ACCEPTABLE),
            ("application/jpeg", NOT_ACCEPTABLE),
            ("image/gif", NOT_ACCEPTABLE),
            ("application/dicom", NOT_ACCEPTABLE),
            ("image/jpeg, image/png", SEVERAL_RANGES),
            ("image/png; q=0.9, */*; q=0.1", SEVERAL_RANGES),
        ],
    )
    def test_other_forms_are_406(self, service: Service, version: str, resource: str, accept: str, text: str) -> None:
        file = picture(GREY)
        service.store(file)
        response = ask(service, file, accept, resource, version)
        assert (response.status_code, response.text) == (406, text)
        assert response.headers["Content-Type"] == PLAIN_TEXT

    @alternately
    @pytest.mark.parametrize("quality", ["0", "-1", "101", "2147483647"])
    def test_a_quality_out_of_range_is_400(self, service: Service, version: str, resource: str, quality: str) -> None:
        file = picture(GREY)
        service.store(file)
        response = ask(service, file, JPEG, f"{resource}?quality={quality}", version)
        assert (response.status_code, response.text) == (400, BAD_QUALITY)
        assert response.headers["Content-Type"] == PLAIN_TEXT

    @alternately
    @pytest.mark.parametrize("quality", ["best", "90.5", "99999999999", "1e1"])
    def test_a_quality_that_is_no_whole_number_is_400(
        self, service: Service, version: str, resource: str, quality: str
    ) -> None:
        file = picture(GREY)
        service.store(file)
        response = ask(service, file, JPEG, f"{resource}?quality={quality}", version)
        assert response.status_code == 400
        assert response.text.startswith("The query parameter 'quality' is invalid. ")
        assert response.headers["Content-Type"] == PLAIN_TEXT

    @alternately
    def test_quality_makes_a_jpeg_smaller_and_100_is_the_default(
        self, service: Service, version: str, resource: str
    ) -> None:
        file = picture(GREY, WindowCenter=2000, WindowWidth=3000)
        service.store(file)
        best, middle, low, worst = (
            ask(service, file, JPEG, f"{resource}?quality={quality}", version).content for quality in (100, 50, 10, 1)
        )
        assert len(best) > len(middle) > len(low) > len(worst)
        assert ask(service, file, JPEG, resource, version).content == best
        assert ask(service, file, None, resource, version).content == best

    @both
    def test_quality_does_not_change_a_png(self, service: Service, version: str) -> None:
        file = picture(GREY)
        service.store(file)
        pictures = [drawn(ask(service, file, PNG, f"rendered?quality={quality}", version)) for quality in (1, 100)]
        assert numpy.array_equal(*pictures)

    @alternately
    @pytest.mark.parametrize("query", ["viewport=10,10", "window=1,2,linear", "annotation=patient", "iccprofile=no"])
    def test_other_parameters_are_ignored(self, service: Service, version: str, resource: str, query: str) -> None:
        file = picture(GREY)
        service.store(file)
        plain = ask(service, file, PNG, resource, version).content
        assert ask(service, file, PNG, f"{resource}?{query}", version).content == plain

    @both
    @resources
    def test_readers_may_and_strangers_may_not(self, service: Service, version: str, resource: str) -> None:
        file = picture(GREY)
        service.store(file)
        url = f"{service.url}/{version}/{path(file)}/{resource}"
        assert service.reader.get(url).status_code == 200
        assert service.nobody.get(url).status_code == 401


class TestWhichFrame:
    @both
    def test_frames_count_from_one_and_the_instance_shows_the_first(self, service: Service, version: str) -> None:
        file = picture(GREY, WindowCenter=2000, WindowWidth=4000)
        service.store(file)
        pictures = [drawn(ask(service, file, PNG, f"frames/{number}/rendered", version)) for number in (1, 2, 3)]
        for image, frame in zip(pictures, GREY):
            assert is_close(image, in_window(frame, 2000, 4000))
        assert numpy.array_equal(drawn(ask(service, file, PNG, "rendered", version)), pictures[0])

    @both
    @pytest.mark.parametrize("number", ["0", "-1", "a", "1.5", "1,2", "1,1", "99999999999"])
    def test_what_is_no_frame_number_is_400(self, service: Service, version: str, number: str) -> None:
        file = picture(GREY)
        service.store(file)
        response = ask(service, file, PNG, f"frames/{number}/rendered", version)
        assert response.status_code == 400
        assert response.headers["Content-Type"] == PLAIN_TEXT and "frame" in response.text.lower()

    @both
    @pytest.mark.parametrize("syntax", [EXPLICIT, RLE])
    @pytest.mark.parametrize("number", ["4", "2147483647"])
    def test_a_frame_beyond_the_last_is_404(self, service: Service, version: str, syntax: str, number: str) -> None:
        file = picture(GREY, syntax)
        service.store(file)
        response = ask(service, file, PNG, f"frames/{number}/rendered", version)
        assert (response.status_code, response.text) == (404, NO_FRAME)

    @both
    @resources
    def test_a_file_without_pixel_data_is_404(self, service: Service, version: str, resource: str) -> None:
        file = instance()
        service.store(file)
        response = ask(service, file, PNG, resource, version)
        assert (response.status_code, response.text) == (404, NO_FRAME)
        assert response.headers["Content-Type"] == PLAIN_TEXT

    @alternately
    def test_an_unknown_instance_is_404(self, service: Service, version: str, resource: str) -> None:
        response = ask(service, picture(GREY), PNG, resource, version)
        assert (response.status_code, response.text) == (404, "The specified instance cannot be found.")

    @alternately
    @pytest.mark.parametrize("position", [0, 1, 2])
    def test_a_malformed_uid_is_400(self, service: Service, version: str, resource: str, position: int) -> None:
        study, series, sop = ["1.2.a" if position == each else "1.2.3" for each in range(3)]
        url = f"{service.url}/{version}/studies/{study}/series/{series}/instances/{sop}/{resource}"
        response = service.owner.get(url, headers={"Accept": PNG})
        assert response.status_code == 400
        name = ("StudyInstanceUid", "SeriesInstanceUid", "SopInstanceUid")[position]
        assert response.text.startswith(f"Dicom element '{name}' failed validation for VR 'UI'")


class TestCannotBeDrawn:
    @alternately
    @pytest.mark.parametrize("accept", [JPEG, PNG])
    @pytest.mark.parametrize("syntax", [RLE, JPEG_2000, "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.100"])
    def test_what_cannot_be_decoded(
        self, service: Service, version: str, resource: str, accept: str, syntax: str
    ) -> None:
        file = encapsulated(picture(GREY[:1]), syntax, [b"no image"])
        service.store(file)
        response = ask(service, file, accept, resource, version)
        assert (response.status_code, response.text) == (406, CANNOT_DRAW)
        assert response.headers["Content-Type"] == PLAIN_TEXT

    @both
    @pytest.mark.parametrize("missing", ["PhotometricInterpretation", "SamplesPerPixel", "PixelRepresentation"])
    def test_an_image_that_does_not_say_what_it_is(self, service: Service, version: str, missing: str) -> None:
        dataset = dcmread(BytesIO(picture(GREY)))
        delattr(dataset, missing)
        file = written(dataset)
        service.store(file)
        response = ask(service, file, PNG, "rendered", version)
        assert (response.status_code, response.text) == (406, CANNOT_DRAW)

    def test_colours_without_their_palette(self, service: Service) -> None:
        file = picture(GREY.astype("uint8"), PhotometricInterpretation="PALETTE COLOR")
        service.store(file)
        response = ask(service, file)
        assert (response.status_code, response.text) == (406, CANNOT_DRAW)

    @alternately
    def test_a_file_above_the_limit_is_406(self, version: str, resource: str) -> None:
        small, large = picture(GREY[:1]), picture(GREY)
        with own_emulator(max_transcode_size=len(small)) as service:
            service.store(small, large)
            assert ask(service, small, PNG, resource, version).status_code == 200
            response = ask(service, large, PNG, resource, version)
            assert response.status_code == 406 and response.text
            assert response.headers["Content-Type"] == PLAIN_TEXT

    @both
    def test_a_file_that_cannot_be_read_is_503(self, tmp_path: Path, version: str) -> None:
        file = picture(GREY)
        with own_emulator(data_dir=tmp_path) as service:
            service.store(file)
            [kept] = [kept for kept in tmp_path.rglob("*") if kept.is_file() and kept.read_bytes() == file]
            kept.unlink()
            assert ask(service, file, PNG, "rendered", version).status_code == 503


@quiet
@all_files()
def test_all_files_that_come_with_pydicom(service: Service, file: Path) -> None:
    """The first and the last frame, against pydicom's own pipeline."""
    content = storable(file)
    service.store(content)
    if not is_image(content):
        response = ask(service, content)
        assert (response.status_code, response.text) == (404, NO_FRAME)
        return
    frames = samples(content)
    if frames is None:
        response = ask(service, content)
        assert (response.status_code, response.text) == (406, CANNOT_DRAW)
        return
    for number in sorted({1, len(frames)}):
        png = drawn(ask(service, content, PNG, f"frames/{number}/rendered"))
        assert is_close(png, as_seen(content, number))
    jpeg = drawn(ask(service, content, JPEG, f"frames/{number}/rendered"), JPEG)
    assert numpy.abs(jpeg.astype(float) - png).mean() < 1.5


class TestGrey:
    """Modality LUT, then VOI LUT or window, then Photometric Interpretation (PS3.3 §C.7.6.3, §C.11; PS3.4 §N.2)."""

    @both
    @pytest.mark.parametrize("syntax", [EXPLICIT, BIG_ENDIAN, DEFLATED, JPEG_LOSSLESS, JPEG_LS, RLE])
    def test_without_a_window_from_the_lowest_to_the_highest_of_the_frame(
        self, service: Service, version: str, syntax: str
    ) -> None:
        frames = GREY // numpy.array([1, 2, 4], "uint16").reshape(3, 1, 1) + 7
        file = picture(frames, syntax)
        service.store(file)
        for number, frame in enumerate(frames, 1):
            image = drawn(ask(service, file, PNG, f"frames/{number}/rendered", version))
            assert is_close(image, stretched(frame))
            assert (image.min(), image.max()) == (0, 255)

    @pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
    def test_the_first_window_counts(self, service: Service, photometric: str) -> None:
        file = picture(GREY, PhotometricInterpretation=photometric, WindowCenter=[1000, 3000], WindowWidth=[500, 50])
        expected = in_window(GREY[0], 1000, 500)
        expected = 255 - expected if photometric == "MONOCHROME1" else expected
        assert 0.02 < numpy.mean((expected > 2) & (expected < 253)) < 0.5, "a test with something to see"
        assert is_close(rendered(service, file), expected)

    @pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
    def test_without_a_window_monochrome_1_is_inverted(self, service: Service, photometric: str) -> None:
        file = picture(GREY, PhotometricInterpretation=photometric)
        expected = stretched(GREY[0])
        assert is_close(rendered(service, file), 255 - expected if photometric == "MONOCHROME1" else expected)

    @pytest.mark.parametrize(("slope", "intercept"), [(1, -1024), (0.5, 10), (2.25, 0), (-1, 0), (-0.5, 1000)])
    @pytest.mark.parametrize("window", [(200, 800), None])
    def test_values_are_rescaled_before_the_window(
        self, service: Service, slope: float, intercept: float, window: tuple[int, int] | None
    ) -> None:
        windows = {"WindowCenter": window[0], "WindowWidth": window[1]} if window else {}
        file = picture(GREY, BitsStored=12, RescaleSlope=slope, RescaleIntercept=intercept, **windows)
        values = GREY[0].astype(float) * slope + intercept
        assert is_close(rendered(service, file), in_window(values, *window) if window else stretched(values))

    @pytest.mark.parametrize(("bits", "kind"), [(8, "int8"), (12, "int16"), (16, "int16")])
    @pytest.mark.parametrize("syntax", [EXPLICIT, RLE])
    def test_signed_samples(self, service: Service, bits: int, kind: str, syntax: str) -> None:
        pixels = ((GREY.astype("int32") - 2048) * 2**bits // 4096).astype(kind)
        width = 2 ** (bits - 1)
        windowed = picture(pixels, syntax, BitsStored=bits, WindowCenter=0, WindowWidth=width)
        assert is_close(rendered(service, windowed), in_window(pixels[0], 0, width))
        assert is_close(rendered(service, picture(pixels, syntax, BitsStored=bits)), stretched(pixels[0]))

    def test_samples_of_32_bits(self, service: Service) -> None:
        pixels = GREY.astype("uint32") * 1_000_003
        assert is_close(rendered(service, picture(pixels)), stretched(pixels[0]))

    @pytest.mark.parametrize(
        ("function", "value"),
        [
            ("LINEAR", lambda v: in_window(v, 2000, 800)),
            ("LINEAR_EXACT", lambda v: ((v - 2000.0) / 800 + 0.5).clip(0, 1) * 255),
            ("SIGMOID", lambda v: 255 / (1 + numpy.exp(-4 * (v - 2000.0) / 800))),
        ],
    )
    def test_the_functions_of_the_window(self, service: Service, function: str, value: Any) -> None:
        """PS3.3 §C.11.2.1.2 and §C.11.2.1.3."""
        file = picture(GREY, WindowCenter=2000, WindowWidth=800, VOILUTFunction=function)
        assert is_close(rendered(service, file), value(GREY[0]))

    def test_a_window_of_width_one_is_a_threshold(self, service: Service) -> None:
        file = picture(GREY, WindowCenter=2000, WindowWidth=1)
        assert is_close(rendered(service, file), (GREY[0] >= 2000) * 255.0)

    def test_empty_windows_are_none(self, service: Service) -> None:
        file = picture(GREY, WindowCenter=None, WindowWidth=None)
        assert is_close(rendered(service, file), stretched(GREY[0]))

    @pytest.mark.parametrize("bits", [8, 12, 16])
    def test_a_voi_lut_comes_before_a_window(self, service: Service, bits: int) -> None:
        table = (numpy.arange(4096) ** 2 >> 24 - bits).astype("uint16")
        file = picture(GREY, WindowCenter=2000, WindowWidth=80, VOILUTSequence=[lut(table, 0, bits)])
        assert is_close(rendered(service, file), table[GREY[0]] / (2**bits - 1) * 255)

    def test_a_voi_lut_goes_on_at_both_ends(self, service: Service) -> None:
        """PS3.3 §C.11.2.1.1: below the first value mapped comes the first entry, above the last one the last."""
        table = numpy.arange(1000, 3000, dtype="uint16") * 16
        file = picture(GREY, VOILUTSequence=[lut(table, 500, 16)])
        expected = table[(GREY[0].astype(int) - 500).clip(0, 1999)] / 65535 * 255
        assert is_close(rendered(service, file), expected)

    def test_a_voi_lut_without_a_table_leaves_the_window(self, service: Service) -> None:
        file = picture(GREY, WindowCenter=2000, WindowWidth=800, VOILUTSequence=[Dataset()])
        assert is_close(rendered(service, file), in_window(GREY[0], 2000, 800))

    @pytest.mark.parametrize("window", [(30000, 20000), None])
    def test_a_modality_lut(self, service: Service, window: tuple[int, int] | None) -> None:
        table = (65535 - numpy.arange(4096) * 16).astype("uint16")
        windows = {"WindowCenter": window[0], "WindowWidth": window[1]} if window else {}
        file = picture(GREY, ModalityLUTSequence=[lut(table, 0, 16)], **windows)
        values = table[GREY[0]]
        assert is_close(rendered(service, file), in_window(values, *window) if window else stretched(values))

    def test_a_frame_of_one_value_is_drawn(self, service: Service) -> None:
        """A division by nothing has been known to fail."""
        picture_of_one = rendered(service, picture(numpy.full((1, 20, 24), 7, "uint16")))
        assert picture_of_one.shape == (20, 24) and picture_of_one.min() == picture_of_one.max()

    def test_segmentations_are_black_and_white(self, service: Service) -> None:
        bits = numpy.arange(32 * 16).reshape(32, 16) % 3 == 0
        described = {"Rows": 32, "Columns": 16, "SamplesPerPixel": 1, "PixelRepresentation": 0, "BitsAllocated": 1}
        described |= {"BitsStored": 1, "HighBit": 0, "PhotometricInterpretation": "MONOCHROME2"}
        file = instance(pixels=numpy.packbits(bits, bitorder="little").tobytes(), **described)
        assert is_close(rendered(service, file), bits * 255.0)

    def test_the_window_of_a_frame_of_an_enhanced_image(self, service: Service) -> None:
        """PS3.3 §C.7.6.16.2.10: of each frame, or of all."""
        shared, frames = Dataset(), []
        rescaling = Dataset()
        rescaling.RescaleSlope, rescaling.RescaleIntercept, rescaling.RescaleType = 2, -100, "US"
        shared.PixelValueTransformationSequence = [rescaling]
        for center in (1000, 3000, 5000):
            voi, group = Dataset(), Dataset()
            voi.WindowCenter, voi.WindowWidth = center, 2000
            group.FrameVOILUTSequence = [voi]
            frames.append(group)
        file = picture(GREY, SharedFunctionalGroupsSequence=[shared], PerFrameFunctionalGroupsSequence=frames)
        service.store(file)
        for number, center in enumerate((1000, 3000, 5000), 1):
            image = drawn(ask(service, file, PNG, f"frames/{number}/rendered"))
            assert is_close(image, in_window(GREY[number - 1] * 2.0 - 100, center, 2000))


def lut(table: numpy.ndarray, first: int, bits: int) -> Dataset:
    item = Dataset()
    item.LUTDescriptor = [len(table), first, bits]
    item.add_new("LUTData", "OW", table.astype("<u2").tobytes())
    return item


class TestColour:
    @both
    @pytest.mark.parametrize("syntax", [EXPLICIT, BIG_ENDIAN, DEFLATED, JPEG_LOSSLESS, JPEG_LS, RLE])
    def test_rgb(self, service: Service, version: str, syntax: str) -> None:
        file = picture(COLOUR, syntax)
        service.store(file)
        for number in (1, 2):
            image = drawn(ask(service, file, PNG, f"frames/{number}/rendered", version))
            assert numpy.array_equal(image, COLOUR[number - 1])

    @pytest.mark.parametrize("syntax", [EXPLICIT, BIG_ENDIAN])
    def test_rgb_by_plane(self, service: Service, syntax: str) -> None:
        assert numpy.array_equal(rendered(service, picture(COLOUR, syntax, PlanarConfiguration=1), 2), COLOUR[1])

    @pytest.mark.parametrize("bits", [12, 16])
    def test_rgb_with_more_than_eight_bits(self, service: Service, bits: int) -> None:
        pixels = (COLOUR.astype("uint16") << bits - 8) + 5
        assert is_close(rendered(service, picture(pixels, BitsStored=bits)), COLOUR[0].astype(float))

    def test_a_window_says_nothing_of_colours(self, service: Service) -> None:
        file = picture(COLOUR, WindowCenter=100, WindowWidth=20)
        assert numpy.array_equal(rendered(service, file), COLOUR[0])

    def test_ybr_is_shown_as_rgb(self, service: Service) -> None:
        """PS3.3 §C.7.6.3.1.2."""
        pixels = numpy.zeros((1, 2, 2, 3), "uint8")
        pixels[0] = [[[76, 85, 255], [150, 44, 21]], [[29, 255, 107], [128, 128, 128]]]  # red, green, blue, grey
        expected = numpy.array([[[254, 0, 0], [0, 255, 1]], [[0, 0, 254], [128, 128, 128]]], float)
        image = rendered(service, picture(pixels, PhotometricInterpretation="YBR_FULL"))
        assert numpy.abs(image - expected).max() <= 2

    @pytest.mark.parametrize("syntax", [EXPLICIT, RLE, BIG_ENDIAN])
    @pytest.mark.parametrize(("bits", "kind"), [(8, "uint8"), (16, "uint8"), (16, "uint16")])
    def test_a_palette(self, service: Service, syntax: str, bits: int, kind: str) -> None:
        table = numpy.stack([numpy.arange(256), 255 - numpy.arange(256), numpy.arange(256) * 7 % 256], -1)
        entries = (table << 8 | 255 - table).astype("uint16") if bits == 16 else table.astype("uint8")
        order = ">" if syntax == BIG_ENDIAN else "<"
        palette: dict[str, Any] = {}
        for channel, colour in enumerate(("Red", "Green", "Blue")):
            column = entries[:, channel].astype(entries.dtype.newbyteorder(order))
            palette[f"{colour}PaletteColorLookupTableDescriptor"] = [256, 0, bits]
            palette[f"{colour}PaletteColorLookupTableData"] = column.tobytes()
        indices = (GREY % 256).astype(kind)
        file = picture(indices, syntax, PhotometricInterpretation="PALETTE COLOR", **palette)
        assert is_close(rendered(service, file), table[indices[0]].astype(float))

    def test_a_palette_of_more_entries_than_an_entry_has_values(self, service: Service) -> None:
        table = (numpy.arange(4096) // 16).astype("uint8")
        palette = {}
        for colour in ("Red", "Green", "Blue"):
            palette[f"{colour}PaletteColorLookupTableDescriptor"] = [4096, 0, 8]
            palette[f"{colour}PaletteColorLookupTableData"] = table.tobytes()
        file = picture(GREY, BitsStored=12, PhotometricInterpretation="PALETTE COLOR", **palette)
        assert numpy.array_equal(rendered(service, file), numpy.stack([table[GREY[0]]] * 3, -1))

    def test_a_palette_that_begins_later(self, service: Service) -> None:
        """PS3.3 §C.7.6.3.1.5: below the first value mapped comes the first entry, above the last one the last."""
        palette = {}
        table = numpy.arange(50, 150, dtype="uint8")
        for colour in ("Red", "Green", "Blue"):
            palette[f"{colour}PaletteColorLookupTableDescriptor"] = [100, 40, 8]
            palette[f"{colour}PaletteColorLookupTableData"] = table.tobytes()
        indices = (GREY % 256).astype("uint8")
        file = picture(indices, PhotometricInterpretation="PALETTE COLOR", **palette)
        expected = table[(indices[0].astype(int) - 40).clip(0, 99)]
        assert numpy.array_equal(rendered(service, file), numpy.stack([expected] * 3, -1))


@both
@pytest.mark.parametrize("pixels", [GREY, COLOUR], ids=["grey", "colour"])
def test_a_jpeg_shows_the_same_as_a_png(service: Service, version: str, pixels: numpy.ndarray) -> None:
    ramp = numpy.linspace(0, 255, 64 * 64).reshape(1, 64, 64)
    smooth = ramp if pixels.ndim == 3 else numpy.stack([ramp, 255 - ramp, ramp.transpose(0, 2, 1)], -1)
    file = picture(smooth.astype("uint8"))
    service.store(file)
    png = drawn(ask(service, file, PNG, "rendered", version)).astype(float)
    jpeg = drawn(ask(service, file, JPEG, "rendered", version), JPEG)
    low = drawn(ask(service, file, JPEG, "rendered?quality=5", version), JPEG)
    assert numpy.abs(jpeg - png).mean() < 1 < numpy.abs(low - png).mean()
