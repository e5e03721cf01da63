"""WADO-RS: frames of an instance (conformance statement, Retrieve Frames; PS3.18 §10.4.1.1.6)."""

import re
from typing import Any

import numpy
import pytest

from tests.emulator.conftest import Service
from tests.emulator.dicom_files import fragments, instance, path, split_multipart

IMPLICIT, EXPLICIT, BIG_ENDIAN, DEFLATED = (
    "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"
)  # fmt: skip
JPEG_BASELINE, JPEG_2000, RLE = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.5"
SINGLE, MULTIPART = "application/octet-stream", 'multipart/related; type="application/octet-stream"'
ALL_ORIGINAL = f"{MULTIPART}; transfer-syntax=*"
JP2 = 'multipart/related; type="image/jp2"'
NOT_ACCEPTABLE = "The request headers are not acceptable"
NOT_TRANSCODABLE = "The specified transcoding is not supported."
NO_FRAME = "The specified frame cannot be found."
BAD_FRAMES = (
    "The specified frames value is not valid. At least one frame must be present, and all requested frames must have "
    "value greater than 0."
)
FRAMES = numpy.arange(3 * 3 * 5, dtype="uint8").reshape(3, 3, 5)  # 15 bytes each, 45 together: both odd

both = pytest.mark.parametrize("version", ["v1", "v2"])


def compressed(transfer_syntax: str, pixels: bytes, frames: int = 1, **attributes: Any) -> bytes:
    attributes = {"Rows": 2, "Columns": 2, "BitsAllocated": 8, "SamplesPerPixel": 1} | attributes
    return instance(transfer_syntax, pixels=pixels, NumberOfFrames=frames, **attributes)


def ask(service: Service, version: str, file: bytes, frames: str, accept: str | None = ALL_ORIGINAL) -> Any:
    headers = {} if accept is None else {"Accept": accept}
    return service.owner.get(f"{service.url}/{version}/{path(file)}/frames/{frames}", headers=headers)


def frames_of(response: Any, syntax: str, media_type: str = SINGLE) -> list[bytes]:
    assert response.status_code == 200, response.text
    assert re.fullmatch(r"multipart/related; boundary=[0-9A-Za-z-]+", response.headers["Content-Type"])
    parts = split_multipart(response)
    assert {tuple(headers.items()) for headers, _ in parts} == {
        (("content-type", f"{media_type}; transfer-syntax={syntax}"),)
    }
    return [body for _, body in parts]


class TestAccept:
    @both
    @pytest.mark.parametrize(
        ("accept", "stored", "sent"),
        [
            (MULTIPART, EXPLICIT, EXPLICIT),
            (MULTIPART, IMPLICIT, EXPLICIT),
            (MULTIPART, BIG_ENDIAN, EXPLICIT),
            (MULTIPART, DEFLATED, EXPLICIT),
            (f"{MULTIPART}; transfer-syntax={EXPLICIT}", IMPLICIT, EXPLICIT),
            (f"{MULTIPART}; transfer-syntax=*", IMPLICIT, IMPLICIT),
            (f"{MULTIPART}; transfer-syntax=*", DEFLATED, DEFLATED),
            ("multipart/related; type=application/octet-stream; transfer-syntax=*", EXPLICIT, EXPLICIT),
            ("*/*", IMPLICIT, IMPLICIT),
            (f"*/*; transfer-syntax={EXPLICIT}", IMPLICIT, EXPLICIT),
        ],
    )
    def test_multipart_holds_frames_as_octets(
        self, service: Service, version: str, accept: str, stored: str, sent: str
    ) -> None:
        file = instance(stored, pixels=FRAMES)
        service.store(file)
        assert frames_of(ask(service, version, file, "1", accept), sent) == [FRAMES[0].tobytes()]

    @both
    @pytest.mark.parametrize(
        ("accept", "stored", "sent"),
        [
            (SINGLE, EXPLICIT, EXPLICIT),
            (SINGLE, IMPLICIT, EXPLICIT),
            (f"{SINGLE}; transfer-syntax=*", IMPLICIT, IMPLICIT),
            (f"{SINGLE}; transfer-syntax={EXPLICIT}", IMPLICIT, EXPLICIT),
        ],
    )
    def test_one_frame_comes_as_a_single_part(
        self, service: Service, version: str, accept: str, stored: str, sent: str
    ) -> None:
        file = instance(stored, pixels=FRAMES)
        service.store(file)
        response = ask(service, version, file, "2", accept)
        assert (response.status_code, response.content) == (200, FRAMES[1].tobytes())
        assert response.headers["Content-Type"] == f"application/octet-stream; transfer-syntax={sent}"

    @both
    def test_several_frames_do_not_fit_a_single_part(self, service: Service, version: str) -> None:
        file = instance(pixels=FRAMES)
        service.store(file)
        response = ask(service, version, file, "1,2", SINGLE)
        assert response.status_code == 400
        assert "multipart" in response.text.lower()
        assert response.headers["Content-Type"] == "text/plain; charset=utf-8"

    @both
    @pytest.mark.parametrize("accept", [JP2, f"{JP2}; transfer-syntax={JPEG_2000}"])
    def test_frames_stored_as_jpeg_2000_come_as_jp2(self, service: Service, version: str, accept: str) -> None:
        file = compressed(JPEG_2000, fragments(b"frame 1.", b"frame two."), frames=2)
        service.store(file)
        frames = frames_of(ask(service, version, file, "2,1", accept), JPEG_2000, "image/jp2")
        assert frames == [b"frame two.", b"frame 1."]

    @both
    @pytest.mark.parametrize(
        "accept",
        [
            None,
            "",
            "nonsense",
            "application/dicom",
            "image/jpeg",
            "image/jp2",
            "multipart/related",
            'multipart/related; type="application/dicom"',
            'multipart/related; type="image/jpeg"',
            f"{MULTIPART}; transfer-syntax={JPEG_2000}",
            f"{MULTIPART}; transfer-syntax={IMPLICIT}",
            f"{SINGLE}; transfer-syntax={JPEG_BASELINE}",
            f"{JP2}; transfer-syntax=*",
            f"{JP2}; transfer-syntax={EXPLICIT}",
            f"*/*; transfer-syntax={JPEG_2000}",
        ],
    )
    def test_nothing_acceptable_is_406(self, service: Service, version: str, accept: str | None) -> None:
        file = instance(IMPLICIT, pixels=FRAMES)
        service.store(file)
        response = ask(service, version, file, "1", accept)
        assert (response.status_code, response.text) == (406, NOT_ACCEPTABLE)


class TestWhichFrames:
    @both
    @pytest.mark.parametrize(
        ("frames", "numbers"),
        [
            ("1", [1]),
            ("3", [3]),
            ("1,2,3", [1, 2, 3]),
            ("3,1", [3, 1]),
            ("2,2,1,2", [2, 2, 1, 2]),
            ("1,%202", [1, 2]),
            ("%201%20,3%20", [1, 3]),
        ],
    )
    def test_order_and_repetition_are_kept_and_spaces_ignored(
        self, service: Service, version: str, frames: str, numbers: list[int]
    ) -> None:
        file = instance(pixels=FRAMES)
        service.store(file)
        expected = [FRAMES[number - 1].tobytes() for number in numbers]
        assert frames_of(ask(service, version, file, frames), EXPLICIT) == expected

    @both
    @pytest.mark.parametrize("frames", ["0", "-1", "1,-1", "0,1"])
    def test_numbers_below_one_are_400(self, service: Service, version: str, frames: str) -> None:
        file = instance(pixels=FRAMES)
        service.store(file)
        response = ask(service, version, file, frames)
        assert (response.status_code, response.text) == (400, BAD_FRAMES)

    @both
    @pytest.mark.parametrize(
        ("frames", "value"), [("a", "a"), ("1.5", "1.5"), ("1,b", "b"), ("99999999999", "99999999999"), ("1_0", "1_0")]
    )
    def test_what_is_no_whole_number_is_400(self, service: Service, version: str, frames: str, value: str) -> None:
        file = instance(pixels=FRAMES)
        service.store(file)
        response = ask(service, version, file, frames)
        assert response.status_code == 400
        assert response.text == f"The query parameter 'frames' is invalid. Unable to parse value '{value}' as Int32."

    @both
    @pytest.mark.parametrize("frames", ["4", "1,4", "2147483647"])
    @pytest.mark.parametrize(
        "file",
        [instance(pixels=FRAMES), compressed(JPEG_2000, fragments(b"a1", b"b2", b"c3"), frames=3)],
        ids=["native", "encapsulated"],
    )
    def test_a_frame_beyond_the_last_is_404(self, service: Service, version: str, frames: str, file: bytes) -> None:
        service.store(file)
        response = ask(service, version, file, frames)
        assert (response.status_code, response.text) == (404, NO_FRAME)
        assert response.headers["Content-Type"] == "text/plain; charset=utf-8"

    @both
    @pytest.mark.parametrize(
        "file",
        [
            instance(),
            instance(Rows=2, Columns=2, BitsAllocated=8, NumberOfFrames=1),
            *(
                instance(pixels=numpy.zeros((2, 2), "uint8"), leave_out=(keyword,))
                for keyword in ("Rows", "Columns", "BitsAllocated")
            ),
        ],
        ids=["no image at all", "no pixel data", "no rows", "no columns", "no bits allocated"],
    )
    def test_a_file_that_is_no_complete_image_has_no_frame(self, service: Service, version: str, file: bytes) -> None:
        assert service.store(file).status_code == 200
        for accept in (ALL_ORIGINAL, SINGLE, "*/*"):
            response = ask(service, version, file, "1", accept)
            assert (response.status_code, response.text) == (404, NO_FRAME)

    @both
    def test_an_unknown_instance_is_404(self, service: Service, version: str) -> None:
        response = ask(service, version, instance(pixels=FRAMES), "1")
        assert (response.status_code, response.text) == (404, "The specified instance cannot be found.")

    @both
    def test_the_header_for_original_versions_is_ignored(self, service: Service, version: str) -> None:
        file = instance(pixels=FRAMES)
        service.store(file)
        headers = {"Accept": ALL_ORIGINAL, "msdicom-request-original": "true"}
        response = service.owner.get(f"{service.url}/{version}/{path(file)}/frames/2", headers=headers)
        assert frames_of(response, EXPLICIT) == [FRAMES[1].tobytes()]


class TestNativePixels:
    """A frame is Rows x Columns x SamplesPerPixel x BitsAllocated / 8 bytes and nothing more."""

    @both
    @pytest.mark.parametrize(
        ("attributes", "pixels", "frames"),
        [
            ({"Rows": 1, "Columns": 3}, b"abc\0", [b"abc"]),
            ({"Rows": 1, "Columns": 3, "NumberOfFrames": 3}, b"abcdefghi\0", [b"abc", b"def", b"ghi"]),
            ({"Rows": 1, "Columns": 1, "SamplesPerPixel": 3, "PlanarConfiguration": 0,
              "PhotometricInterpretation": "RGB", "NumberOfFrames": 2}, b"rgbRGB", [b"rgb", b"RGB"]),
            ({"Rows": 1, "Columns": 3, "SamplesPerPixel": 3, "PlanarConfiguration": 1,
              "PhotometricInterpretation": "RGB"}, b"rrrgggbbb\0", [b"rrrgggbbb"]),
            ({"Rows": 1, "Columns": 3, "BitsAllocated": 16}, b"aabbcc", [b"aabbcc"]),
            ({"Rows": 1, "Columns": 1, "BitsAllocated": 32, "NumberOfFrames": 2}, b"aaaabbbb", [b"aaaa", b"bbbb"]),
            ({"Rows": 2, "Columns": 8, "BitsAllocated": 1, "NumberOfFrames": 2}, b"\1\2\3\4", [b"\1\2", b"\3\4"]),
        ],
        ids=["odd", "odd multi-frame", "colour by pixel", "colour by plane", "16 bits", "32 bits", "1 bit"],
    )  # fmt: skip
    def test_the_padding_is_not_part_of_a_frame(
        self, service: Service, version: str, attributes: dict[str, Any], pixels: bytes, frames: list[bytes]
    ) -> None:
        defaults = {"BitsAllocated": 8, "SamplesPerPixel": 1, "PhotometricInterpretation": "MONOCHROME2"}
        file = instance(pixels=pixels, **(defaults | attributes))
        service.store(file)
        every = ",".join(str(number + 1) for number in range(len(frames)))
        assert frames_of(ask(service, version, file, every), EXPLICIT) == frames

    @both
    def test_sixteen_bit_samples_change_their_byte_order_only_on_request(self, service: Service, version: str) -> None:
        samples = numpy.array([[[1, 2]], [[3, 4]]], dtype="uint16")
        file = instance(BIG_ENDIAN, pixels=samples)
        service.store(file)
        assert frames_of(ask(service, version, file, "1,2"), BIG_ENDIAN) == [b"\0\1\0\2", b"\0\3\0\4"]
        assert frames_of(ask(service, version, file, "2", MULTIPART), EXPLICIT) == [b"\3\0\4\0"]

    @both
    @pytest.mark.parametrize(("vr", "little"), [(b"OB", b"\0\1\2\3"), (b"OW", b"\1\0\3\2")])
    def test_eight_bit_samples_change_their_order_only_as_words(
        self, service: Service, version: str, vr: bytes, little: bytes
    ) -> None:
        """PS3.5 §7.3: OW is made of words of two bytes, whatever the samples are; OB has no byte order."""
        file = instance(BIG_ENDIAN, pixels=numpy.arange(4, dtype="uint8").reshape(2, 2))
        file = file.replace(b"\x7f\xe0\x00\x10OB", b"\x7f\xe0\x00\x10" + vr)
        service.store(file)
        assert frames_of(ask(service, version, file, "1"), BIG_ENDIAN) == [b"\0\1\2\3"]
        assert frames_of(ask(service, version, file, "1", MULTIPART), EXPLICIT) == [little]

    @both
    def test_a_deflated_file_gives_plain_frames(self, service: Service, version: str) -> None:
        file = instance(DEFLATED, pixels=FRAMES)
        service.store(file)
        assert frames_of(ask(service, version, file, "3", MULTIPART), EXPLICIT) == [FRAMES[2].tobytes()]

    @both
    def test_pixel_data_of_a_nested_icon_is_not_mistaken_for_the_image(self, service: Service, version: str) -> None:
        from pydicom import Dataset

        icon = Dataset()
        icon.Rows, icon.Columns, icon.SamplesPerPixel, icon.BitsAllocated = 1, 2, 1, 8
        icon.add_new(0x7FE00010, "OB", b"xx")
        file = instance(pixels=FRAMES, IconImageSequence=[icon])
        service.store(file)
        assert frames_of(ask(service, version, file, "1"), EXPLICIT) == [FRAMES[0].tobytes()]


class TestEncapsulatedPixels:
    @both
    @pytest.mark.parametrize("syntax", [JPEG_BASELINE, JPEG_2000, RLE, "1.2.840.10008.1.2.4.100"])
    @pytest.mark.parametrize("offset_table", [True, False], ids=["offset table", "empty offset table"])
    def test_the_fragments_come_as_they_are_stored(
        self, service: Service, version: str, syntax: str, offset_table: bool
    ) -> None:
        frames = [b"the first frame.", b"2nd.", b"the last"]
        file = compressed(syntax, fragments(*frames, offset_table=offset_table), frames=3)
        service.store(file)
        assert frames_of(ask(service, version, file, "1,2,3"), syntax) == frames
        assert frames_of(ask(service, version, file, "3,1", "*/*"), syntax) == [frames[2], frames[0]]
        single = ask(service, version, file, "2", f"{SINGLE}; transfer-syntax=*")
        assert (single.status_code, single.content) == (200, frames[1])
        assert single.headers["Content-Type"] == f"application/octet-stream; transfer-syntax={syntax}"

    @both
    def test_a_frame_of_several_fragments_comes_in_one_piece(self, service: Service, version: str) -> None:
        file = compressed(JPEG_2000, fragments([b"one, ", b"two."], b"three.", [b"four", b"five"]), frames=3)
        service.store(file)
        expected = [b"one, \0two.", b"three.", b"fourfive"]
        assert frames_of(ask(service, version, file, "1,2,3"), JPEG_2000) == expected

    @both
    @pytest.mark.parametrize("pieces", [[b"ab", b"cd", b"ef"], [b"ab\xff\xd9", b"cdef"]])
    def test_all_fragments_of_a_single_frame_belong_to_it(
        self, service: Service, version: str, pieces: list[bytes]
    ) -> None:
        file = compressed(JPEG_2000, fragments(pieces, offset_table=False))
        service.store(file)
        assert frames_of(ask(service, version, file, "1"), JPEG_2000) == [b"".join(pieces)]

    @both
    def test_without_an_offset_table_a_frame_ends_where_its_image_does(self, service: Service, version: str) -> None:
        """Three fragments for two frames: FFD9 is the end of an image in all JPEG formats."""
        file = compressed(
            JPEG_2000, fragments([b"\xff\xd8on", b"e.\xff\xd9"], b"\xff\xd8two.\xff\xd9", offset_table=False), frames=2
        )
        service.store(file)
        expected = [b"\xff\xd8two.\xff\xd9", b"\xff\xd8one.\xff\xd9"]
        assert frames_of(ask(service, version, file, "2,1"), JPEG_2000) == expected

    @both
    def test_an_extended_offset_table_is_used(self, service: Service, version: str) -> None:
        """PS3.3 §C.7.6.3.1.8: offsets and lengths of eight bytes, beside an empty Basic Offset Table."""
        file = compressed(
            JPEG_2000,
            fragments(b"frame one.", b"frame 2.", offset_table=False),
            frames=2,
            ExtendedOffsetTable=(0).to_bytes(8, "little") + (18).to_bytes(8, "little"),
            ExtendedOffsetTableLengths=(10).to_bytes(8, "little") + (8).to_bytes(8, "little"),
        )
        service.store(file)
        assert frames_of(ask(service, version, file, "2,1"), JPEG_2000) == [b"frame 2.", b"frame one."]

    @both
    @pytest.mark.parametrize("accept", [MULTIPART, SINGLE])
    def test_what_cannot_be_decoded_is_406(self, service: Service, version: str, accept: str) -> None:
        file = compressed(JPEG_BASELINE, fragments(b"not a JPEG image"))
        service.store(file)
        response = ask(service, version, file, "1", accept)
        assert (response.status_code, response.text) == (406, NOT_TRANSCODABLE)

    @both
    def test_what_cannot_be_encoded_is_406(self, service: Service, version: str) -> None:
        """Bits that are not whole bytes do not become JPEG 2000."""
        file = instance(pixels=b"\5\0", Rows=2, Columns=4, BitsAllocated=1, SamplesPerPixel=1)
        service.store(file)
        response = ask(service, version, file, "1", JP2)
        assert (response.status_code, response.text) == (406, NOT_TRANSCODABLE)
