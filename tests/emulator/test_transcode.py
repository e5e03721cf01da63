"""Retrieve: files and frames in another transfer syntax, where a codec is needed (conformance statement, Retrieve)."""

import struct
from io import BytesIO
from pathlib import Path
from threading import Thread
from typing import Any

import numpy
import openjpeg
import pytest
from pydicom import Dataset, dcmread
from pydicom.encaps import encapsulate_extended, generate_frames
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import UID

from tests.emulator.conftest import Service, session
from tests.emulator.dicom_files import SECONDARY_CAPTURE, instance, path, split_multipart, uids
from tests.emulator.pictures import (
    BIG_ENDIAN,
    DEFLATED,
    EXPLICIT,
    GREY,
    HTJ2K_GREY,
    HTJ2K_RGB,
    IMPLICIT,
    JPEG_2000,
    JPEG_BASELINE,
    JPEG_LOSSLESS,
    JPEG_LS,
    LOSSLESS,
    RGB,
    RLE,
    UNCOMPRESSED,
    all_files,
    encapsulated,
    has_pixels,
    is_image,
    picture,
    place,
    samples,
    storable,
    written,
)
from tests.emulator.storing import own_emulator
from tests.emulator.test_command_line import started

NOT_ACCEPTABLE = "The request headers are not acceptable"
NOT_TRANSCODABLE = "The specified transcoding is not supported."
DICOM, OCTETS, JP2 = "application/dicom", "application/octet-stream", "image/jp2"
PIXEL_DATA, MAY_CHANGE = 0x7FE00010, {"PixelData", "PhotometricInterpretation", "PlanarConfiguration"}
FRAMES = (numpy.arange(3 * 32 * 40) * 37 % 4096).astype("uint16").reshape(3, 32, 40)
COLOUR = (numpy.arange(2 * 34 * 36 * 3) * 7 % 251).astype("uint8").reshape(2, 34, 36, 3)

both = pytest.mark.parametrize("version", ["v1", "v2"])
quiet = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
targets = pytest.mark.parametrize("target", [EXPLICIT, JPEG_2000], ids=["explicit", "JPEG 2000"])
alternately = pytest.mark.parametrize(  # each target through one of the versions, where there are many cases
    ("target", "version"), [(EXPLICIT, "v1"), (JPEG_2000, "v2")], ids=["explicit-v1", "JPEG 2000-v2"]
)


def ask(service: Service, file: bytes, target: str, version: str = "v2") -> Any:
    """The whole file in the transfer syntax `target`."""
    headers = {"Accept": f"{DICOM}; transfer-syntax={target}"}
    return service.owner.get(f"{service.url}/{version}/{place(file)}", headers=headers)


def ask_frames(service: Service, file: bytes, numbers: str, target: str, version: str = "v2") -> Any:
    """Frames in the transfer syntax `target`: octets, or image/jp2 for JPEG 2000."""
    media_type = JP2 if target == JPEG_2000 else OCTETS
    headers = {"Accept": f'multipart/related; type="{media_type}"; transfer-syntax={target}'}
    return service.owner.get(f"{service.url}/{version}/{place(file)}/frames/{numbers}", headers=headers)


def data_set(response: Any, target: str) -> Dataset:
    assert response.status_code == 200, response.text
    assert response.headers["Content-Type"] == f"application/dicom; transfer-syntax={target}"
    dataset = dcmread(BytesIO(response.content), force=True)
    assert dataset.file_meta.get("TransferSyntaxUID", target) == target
    return dataset


def parts(response: Any, target: str) -> list[bytes]:
    assert response.status_code == 200, response.text
    content_type = f"{JP2 if target == JPEG_2000 else OCTETS}; transfer-syntax={target}"
    found = split_multipart(response)
    assert {headers["content-type"] for headers, _ in found} == {content_type}
    return [body for _, body in found]


def decoded(stream: bytes) -> numpy.ndarray:
    assert stream.startswith(b"\xff\x4f\xff\x51"), "a code stream without a file format around it"
    return openjpeg.decode(stream)


def is_refused(response: Any) -> bool:
    return (response.status_code, response.text) == (406, NOT_TRANSCODABLE)


def stored_syntax(content: bytes) -> UID | None:
    return dcmread(BytesIO(content), force=True).file_meta.get("TransferSyntaxUID")


def reachable(content: bytes, target: str) -> bool:
    """Whether pydicom's codecs lead from the file to the transfer syntax `target`."""
    syntax = stored_syntax(content)
    if not has_pixels(content) or target == (syntax or IMPLICIT):
        return True
    if target == EXPLICIT and (syntax or IMPLICIT) in UNCOMPRESSED:
        return True
    bits = dcmread(BytesIO(content), force=True).get("BitsStored", 0)
    return samples(content) is not None and (target == EXPLICIT or 1 < bits <= 24)


def check_same_attributes(before: Dataset, after: Dataset, may_change: set[str]) -> None:
    assert [element.tag for element in after] == [element.tag for element in before]
    for element in before:
        if element.keyword not in may_change:
            assert after[element.tag] == element
    for keyword in ("SOPClassUID", "SOPInstanceUID"):  # what the file meta information lacks is taken from the data set
        named = before.file_meta.get(f"MediaStorage{keyword}", before.get(keyword))
        assert after.file_meta.get(f"MediaStorage{keyword}") == named


def check_colour(dataset: Dataset) -> None:
    """The file says of its colours what they are; in JPEG 2000 so does the code stream (PS3.5 §A.4.4)."""
    photometric = dataset.PhotometricInterpretation
    assert photometric in {"RGB", "YBR_RCT", "MONOCHROME1", "MONOCHROME2", "PALETTE COLOR"}
    assert (photometric in {"RGB", "YBR_RCT"}) == (dataset.SamplesPerPixel == 3)
    if dataset.SamplesPerPixel == 3:
        assert dataset.PlanarConfiguration == 0
    if dataset.file_meta.TransferSyntaxUID == JPEG_2000:
        for stream in generate_frames(dataset.PixelData, number_of_frames=int(dataset.get("NumberOfFrames") or 1)):
            coding_style = stream.index(b"\xff\x52")
            assert stream[coding_style + 8] == (photometric == "YBR_RCT"), "multiple component transformation"
    else:
        assert photometric != "YBR_RCT"


class TestBundledFiles:
    """All files that come with pydicom, against pydicom's own pixels."""

    @quiet
    @alternately
    @all_files()
    def test_a_whole_file_keeps_its_pixels_and_attributes(
        self, service: Service, file: Path, target: str, version: str
    ) -> None:
        content = storable(file)
        assert service.store(content).status_code in {200, 202}
        response = ask(service, content, target, version)
        if not reachable(content, target):
            assert is_refused(response)
            return
        after, before = data_set(response, target), dcmread(BytesIO(content), force=True)
        if stored_syntax(content) == target:
            assert response.content == content
            return
        assert after.file_meta.ImplementationClassUID == "1.3.6.1.4.1.311.129"
        recoded = has_pixels(content) and (target == JPEG_2000 or stored_syntax(content) not in UNCOMPRESSED)
        check_same_attributes(before, after, MAY_CHANGE if recoded else {"PixelData"})
        if recoded:
            check_colour(after)
        if has_pixels(content):
            assert numpy.array_equal(samples(response.content), samples(content))

    @quiet
    @all_files()
    def test_frames_are_the_pixels(self, service: Service, file: Path) -> None:
        content = storable(file)
        service.store(content)
        if not is_image(content):
            assert ask_frames(service, content, "1", EXPLICIT).status_code == 404
            return
        expected = samples(content)
        count = 1 if expected is None else len(expected)
        numbers = ",".join(str(number) for number in range(count, 0, -1))  # backwards
        octets, jp2 = (ask_frames(service, content, numbers, target) for target in (EXPLICIT, JPEG_2000))
        if reachable(content, EXPLICIT):
            assert parts(octets, EXPLICIT) == native_frames(content)[::-1]
        else:
            assert is_refused(octets)
        if stored_syntax(content) == JPEG_2000:
            pixel_data = dcmread(BytesIO(content)).PixelData
            assert parts(jp2, JPEG_2000) == list(generate_frames(pixel_data, number_of_frames=count))[::-1]
        elif reachable(content, JPEG_2000):
            assert numpy.array_equal([decoded(stream) for stream in parts(jp2, JPEG_2000)], expected[::-1])
        else:
            assert is_refused(jp2)


def native_frames(content: bytes) -> list[bytes]:
    """The frames in Explicit VR Little Endian: as they are stored, if native, else as they are decoded."""
    dataset, pixels = dcmread(BytesIO(content), force=True), samples(content)
    if stored_syntax(content) not in {*UNCOMPRESSED, None}:
        return [frame.astype(frame.dtype.newbyteorder("<")).tobytes() for frame in pixels]
    raw = dataset.PixelData
    if stored_syntax(content) == BIG_ENDIAN and dataset["PixelData"].VR == "OW":
        word = max(dataset.BitsAllocated // 8, 2)
        raw = numpy.frombuffer(raw, f">u{word}").astype(f"<u{word}").tobytes()
    bits = dataset.Rows * dataset.Columns * dataset.SamplesPerPixel * dataset.BitsAllocated
    length = bits // 8 * (2 if dataset.PhotometricInterpretation == "YBR_FULL_422" else 3) // 3
    count = 1 if pixels is None else len(pixels)
    return [raw[length * number : length * (number + 1)] for number in range(count)]


def sources(*syntaxes: str) -> Any:
    return pytest.mark.parametrize("syntax", syntaxes, ids=[UID(syntax).keyword for syntax in syntaxes])


class TestKnownSamples:
    """Lossless sources of our own: what went in comes out."""

    @alternately
    @sources(*LOSSLESS, BIG_ENDIAN, DEFLATED, IMPLICIT)
    @pytest.mark.parametrize(
        ("pixels", "attributes"),
        [
            (FRAMES, {"BitsStored": 12}),
            (FRAMES[:1], {"BitsStored": 12, "PhotometricInterpretation": "MONOCHROME1"}),
            (FRAMES[:1] * 16, {}),
            (COLOUR, {}),
        ],
        ids=["12 bits", "MONOCHROME1", "16 bits", "RGB"],
    )
    def test_what_went_in_comes_out(
        self, service: Service, target: str, version: str, syntax: str, pixels: numpy.ndarray, attributes: dict
    ) -> None:
        file = picture(pixels, syntax, **attributes)
        service.store(file)
        response = ask(service, file, target, version)
        dataset = data_set(response, target)
        assert numpy.array_equal(samples(response.content), pixels)
        recoded = target != syntax and (target == JPEG_2000 or syntax not in UNCOMPRESSED)
        check_same_attributes(dcmread(BytesIO(file)), dataset, MAY_CHANGE if recoded else {"PixelData"})
        if recoded:
            check_colour(dataset)
        number = len(pixels)
        [frame] = parts(ask_frames(service, file, str(number), target, version), target)
        if target == JPEG_2000:
            assert numpy.array_equal(decoded(frame), pixels[-1])
        elif recoded:
            assert frame == pixels[-1].tobytes()

    @alternately
    @sources(RLE, BIG_ENDIAN, DEFLATED, IMPLICIT, EXPLICIT)
    @pytest.mark.parametrize("pixels", [COLOUR, COLOUR[:1, :33, :35]], ids=["even", "odd"])
    def test_colours_by_plane(
        self, service: Service, target: str, version: str, syntax: str, pixels: numpy.ndarray
    ) -> None:
        """JPEG 2000 orders its samples itself, RLE by plane, so neither heeds Planar Configuration."""
        file = picture(pixels, syntax, PlanarConfiguration=1)
        service.store(file)
        response = ask(service, file, target, version)
        dataset = data_set(response, target)
        assert numpy.array_equal(samples(response.content), pixels)
        [frame] = parts(ask_frames(service, file, str(len(pixels)), target, version), target)
        if target == JPEG_2000:
            check_colour(dataset)
            assert numpy.array_equal(decoded(frame), pixels[-1])
        else:
            by_plane = dataset.PlanarConfiguration
            assert by_plane == (syntax in UNCOMPRESSED)
            assert frame == (pixels[-1].transpose(2, 0, 1) if by_plane else pixels[-1]).tobytes()

    @alternately
    @sources(JPEG_LS, JPEG_2000, RLE, BIG_ENDIAN)
    @pytest.mark.parametrize("bits", [8, 12, 16])
    def test_signed_samples_keep_their_sign(
        self, service: Service, target: str, version: str, syntax: str, bits: int
    ) -> None:
        pixels = ((FRAMES[:2].astype("int32") - 2048) * 2**bits // 4096).astype("int16" if bits > 8 else "int8")
        file = picture(pixels, syntax, BitsStored=bits)
        service.store(file)
        response = ask(service, file, target, version)
        check_same_attributes(dcmread(BytesIO(file)), data_set(response, target), {"PixelData"})
        assert numpy.array_equal(samples(response.content), pixels)
        [frame] = parts(ask_frames(service, file, "2", target, version), target)
        assert numpy.array_equal(decoded(frame), pixels[1]) if target == JPEG_2000 else frame == pixels[1].tobytes()

    @alternately
    @pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.203"])
    @pytest.mark.parametrize(("stream", "pixels"), [(HTJ2K_GREY, GREY), (HTJ2K_RGB, RGB)], ids=["grey", "RGB"])
    def test_high_throughput_jpeg_2000(
        self, service: Service, target: str, version: str, syntax: str, stream: bytes, pixels: numpy.ndarray
    ) -> None:
        file = encapsulated(picture(pixels[numpy.newaxis]), syntax, [stream])
        service.store(file)
        response = ask(service, file, target, version)
        check_colour(data_set(response, target))
        assert numpy.array_equal(samples(response.content), pixels[numpy.newaxis])
        [frame] = parts(ask_frames(service, file, "1", target, version), target)
        assert frame == pixels.tobytes() if target == EXPLICIT else numpy.array_equal(decoded(frame), pixels)

    @both
    @targets
    def test_palette_indices_stay_indices(self, service: Service, version: str, target: str) -> None:
        palette = {
            f"{colour}PaletteColorLookupTable{part}": value
            for colour in ("Red", "Green", "Blue")
            for part, value in (("Descriptor", [256, 0, 16]), ("Data", bytes(range(256)) * 2))
        }
        indices = FRAMES[:1].astype("uint8")
        file = picture(indices, RLE, PhotometricInterpretation="PALETTE COLOR", **palette)
        service.store(file)
        response = ask(service, file, target, version)
        dataset = data_set(response, target)
        assert dataset.PhotometricInterpretation == "PALETTE COLOR"
        assert numpy.array_equal(samples(response.content), indices)
        check_same_attributes(dcmread(BytesIO(file)), dataset, {"PixelData"})

    @both
    @sources(EXPLICIT, IMPLICIT, BIG_ENDIAN, RLE)
    @pytest.mark.parametrize("photometric", ["YBR_FULL", "YBR_FULL_422"])
    def test_other_colour_spaces_become_rgb(
        self, service: Service, version: str, syntax: str, photometric: str
    ) -> None:
        file = ybr(photometric, syntax)
        service.store(file)
        response = ask(service, file, JPEG_2000, version)
        check_colour(data_set(response, JPEG_2000))
        assert numpy.array_equal(samples(response.content), samples(file))
        [frame] = parts(ask_frames(service, file, "1", JPEG_2000, version), JPEG_2000)
        assert numpy.array_equal(decoded(frame), samples(file)[0])

    @targets
    @sources(JPEG_2000, JPEG_LS, EXPLICIT)
    def test_samples_of_eight_bits_in_sixteen(self, service: Service, target: str, syntax: str) -> None:
        """What the file says of the size of its samples is true afterwards, whichever size the codec gives them."""
        pixels = FRAMES[:2] % 256
        file = picture(pixels, syntax, BitsStored=8)
        service.store(file)
        response = ask(service, file, target)
        dataset = data_set(response, target)
        assert numpy.array_equal(samples(response.content), pixels)
        if target == EXPLICIT:
            assert len(dataset.PixelData) == pixels.size * dataset.BitsAllocated // 8
            frames = parts(ask_frames(service, file, "1,2", target), target)
            assert b"".join(frames) == dataset.PixelData

    @both
    @pytest.mark.parametrize(("rows", "columns"), [(1, 1), (3, 200), (31, 31), (200, 5)])
    def test_small_images(self, service: Service, version: str, rows: int, columns: int) -> None:
        pixels = numpy.arange(rows * columns, dtype="uint16").reshape(1, rows, columns) * 7
        file = picture(pixels)
        service.store(file)
        response = ask(service, file, JPEG_2000, version)
        data_set(response, JPEG_2000)
        assert numpy.array_equal(samples(response.content), pixels)
        [frame] = parts(ask_frames(service, file, "1", JPEG_2000, version), JPEG_2000)
        assert numpy.array_equal(decoded(frame).reshape(rows, columns), pixels[0])

    @alternately
    @sources(JPEG_LOSSLESS, JPEG_LS, RLE, BIG_ENDIAN, DEFLATED)
    def test_frames_come_in_any_order_and_more_than_once(
        self, service: Service, target: str, version: str, syntax: str
    ) -> None:
        file = picture(FRAMES, syntax, BitsStored=12)
        service.store(file)
        frames = parts(ask_frames(service, file, "3,1,3,2", target, version), target)
        pixels = [decoded(f) if target == JPEG_2000 else numpy.frombuffer(f, "<u2").reshape(32, 40) for f in frames]
        assert numpy.array_equal(pixels, FRAMES[[2, 0, 2, 1]])
        beyond = ask_frames(service, file, "4", target, version)
        assert (beyond.status_code, beyond.text) == (404, "The specified frame cannot be found.")

    @both
    def test_one_frame_comes_as_a_single_part(self, service: Service, version: str) -> None:
        file = picture(FRAMES, RLE, BitsStored=12)
        service.store(file)
        url = f"{service.url}/{version}/{place(file)}/frames/2"
        response = service.owner.get(url, headers={"Accept": OCTETS})
        assert (response.status_code, response.content) == (200, FRAMES[1].tobytes())
        assert response.headers["Content-Type"] == f"{OCTETS}; transfer-syntax={EXPLICIT}"


def ybr(photometric: str, syntax: str) -> bytes:
    """32 rows, 34 columns; two pixels share their colour only where the samples are not compressed."""
    pixels = COLOUR[:1, :32, :34]
    if photometric == "YBR_FULL" or syntax == RLE:
        return picture(pixels, syntax, PhotometricInterpretation="YBR_FULL")
    described = {"Rows": 32, "Columns": 34, "SamplesPerPixel": 3, "PlanarConfiguration": 0, "BitsAllocated": 8}
    described |= {"BitsStored": 8, "HighBit": 7, "PixelRepresentation": 0, "PhotometricInterpretation": photometric}
    return instance(syntax, pixels=pixels.tobytes()[: 32 * 34 * 2], **described)


class TestFraming:
    """How the pixel data of a transcoded file are packed."""

    @both
    def test_compressed_pixel_data_are_encapsulated_by_frame(self, service: Service, version: str) -> None:
        file = picture(FRAMES, BitsStored=12)
        service.store(file)
        element = data_set(ask(service, file, JPEG_2000, version), JPEG_2000)["PixelData"]
        assert element.is_undefined_length and element.VR == "OB"
        streams = list(generate_frames(element.value, number_of_frames=3))
        assert numpy.array_equal([decoded(stream) for stream in streams], FRAMES)

    @targets
    def test_a_file_without_file_meta_information_gets_it(self, service: Service, target: str) -> None:
        """All that PS3.10 §7.1 asks for."""
        file = instance(IMPLICIT)
        bare = file[144 + int.from_bytes(file[140:144], "little") :]
        assert service.store(bare).status_code == 202
        meta = dcmread(BytesIO(ask(service, file, target).content)).file_meta
        assert meta.FileMetaInformationVersion == b"\0\1"
        assert meta.MediaStorageSOPClassUID == SECONDARY_CAPTURE
        assert meta.MediaStorageSOPInstanceUID == uids(file)[2]
        assert meta.TransferSyntaxUID == target
        counted = meta.pop("FileMetaInformationGroupLength").value
        buffer = DicomBytesIO()
        write_file_meta_info(buffer, meta, enforce_standard=False)
        assert counted == len(buffer.getvalue())

    @pytest.mark.parametrize(("pixels", "vr"), [(COLOUR[:1, :3, :3], "OB"), (FRAMES, "OW")])
    def test_native_pixel_data_have_an_even_length_and_the_right_vr(
        self, service: Service, pixels: numpy.ndarray, vr: str
    ) -> None:
        """PS3.5 §8.1.1, §A.2."""
        file = picture(pixels, RLE)
        service.store(file)
        element = data_set(ask(service, file, EXPLICIT), EXPLICIT)["PixelData"]
        assert element.VR == vr and not element.is_undefined_length
        assert element.value == pixels.tobytes() + b"\0" * (pixels.nbytes % 2)

    @targets
    def test_an_offset_table_of_other_frames_is_not_kept(self, service: Service, target: str) -> None:
        """PS3.3 §C.7.6.3.1.8: the Extended Offset Table says where the frames are, and now they are elsewhere."""
        dataset = dcmread(BytesIO(picture(FRAMES, RLE, BitsStored=12)))
        frames = list(generate_frames(dataset.PixelData, number_of_frames=3))
        dataset.PixelData, offsets, lengths = encapsulate_extended(frames)
        dataset.ExtendedOffsetTable, dataset.ExtendedOffsetTableLengths = offsets, lengths
        file = written(dataset)
        service.store(file)
        response = ask(service, file, target)
        after = data_set(response, target)
        assert "ExtendedOffsetTable" not in after and "ExtendedOffsetTableLengths" not in after
        assert numpy.array_equal(samples(response.content), FRAMES)

    @targets
    def test_the_picture_of_an_icon_stays(self, service: Service, target: str) -> None:
        icon = Dataset()
        icon.Rows = icon.Columns = 2
        icon.SamplesPerPixel, icon.BitsAllocated, icon.PhotometricInterpretation = 1, 8, "MONOCHROME2"
        icon.PixelData = b"icon"
        file = picture(FRAMES, RLE, BitsStored=12)
        dataset = dcmread(BytesIO(file))
        dataset.IconImageSequence = [icon]
        file = written(dataset)
        service.store(file)
        after = data_set(ask(service, file, target), target)
        assert after.IconImageSequence[0].PixelData == b"icon"

    @both
    @targets
    def test_a_study_of_one_instance_comes_in_parts(self, service: Service, version: str, target: str) -> None:
        file = picture(FRAMES, RLE, BitsStored=12)
        service.store(file)
        for level in ("study", "series", "instance"):
            accept = f'multipart/related; type="application/dicom"; transfer-syntax={target}'
            response = service.owner.get(f"{service.url}/{version}/{path(file, level)}", headers={"Accept": accept})
            [(headers, body)] = split_multipart(response)
            assert headers == {"content-type": f"{DICOM}; transfer-syntax={target}"}
            assert numpy.array_equal(samples(body), FRAMES)


class TestRefused:
    @both
    @targets
    @pytest.mark.parametrize("syntax", [JPEG_BASELINE, "1.2.840.10008.1.2.4.51", RLE, "1.2.840.10008.1.2.4.100"])
    def test_what_is_no_image_at_all(self, service: Service, target: str, version: str, syntax: str) -> None:
        file = encapsulated(picture(FRAMES, BitsStored=12), syntax, [b"no image"] * 3)
        service.store(file)
        assert is_refused(ask(service, file, target, version))
        assert is_refused(ask_frames(service, file, "1,2", target, version))

    @targets
    def test_one_bad_frame_spoils_the_file_but_not_the_other_frames(self, service: Service, target: str) -> None:
        dataset = dcmread(BytesIO(picture(FRAMES, RLE, BitsStored=12)))
        frames = list(generate_frames(dataset.PixelData, number_of_frames=3))
        file = encapsulated(picture(FRAMES, BitsStored=12), RLE, [frames[0], b"no image", frames[2]])
        service.store(file)
        assert is_refused(ask(service, file, target))
        assert is_refused(ask_frames(service, file, "1,2", target))
        assert len(parts(ask_frames(service, file, "3,1", target), target)) == 2

    @targets
    def test_more_samples_than_a_frame_has(self, service: Service, target: str) -> None:
        """RLE: a segment that unpacks to three bytes for each pixel instead of one (PS3.5 §G.3)."""
        whole = b"\x81\0" * 10  # ten times: repeat the next byte 128 times
        header = struct.pack("<16L", 2, 64, 64 + 3 * len(whole), *[0] * 13)
        file = encapsulated(picture(FRAMES[:1]), RLE, [header + 3 * whole + whole])
        service.store(file)
        assert is_refused(ask(service, file, target))
        assert is_refused(ask_frames(service, file, "1", target))

    def test_a_damaged_code_stream_does_not_take_the_service_along(self) -> None:
        """Codecs have been seen to end their process at samples of 17 bits: here the process is one of its own."""
        with started("--no-auth") as server:
            service = Service(server.url, session(), session(), session())
            for syntax, start_of_frame in ((JPEG_LOSSLESS, b"\xff\xc3"), (JPEG_LS, b"\xff\xf7")):
                intact = picture(FRAMES[:1], syntax, BitsStored=12)
                [stream] = generate_frames(dcmread(BytesIO(intact)).PixelData, number_of_frames=1)
                bits = stream.index(start_of_frame) + 4
                file = encapsulated(intact, syntax, [stream[:bits] + b"\x11" + stream[bits + 1 :]])
                assert service.store(file).status_code == 200
                for target in (EXPLICIT, JPEG_2000):
                    assert is_refused(ask(service, file, target))
                    assert is_refused(ask_frames(service, file, "1", target))
                assert service.owner.get(f"{service.v2}/{place(file)}/rendered").status_code == 406
                assert service.nobody.get(f"{service.url}/health/check").status_code == 200
                assert ask(service, file, "*").content == file

    @both
    @pytest.mark.parametrize("bits", [1, 32])
    def test_samples_that_jpeg_2000_cannot_hold(self, service: Service, version: str, bits: int) -> None:
        pixels = numpy.zeros((1, 8, 8), "uint32" if bits == 32 else "uint8")
        file = picture(pixels, BitsAllocated=bits, BitsStored=bits)
        service.store(file)
        assert is_refused(ask(service, file, JPEG_2000, version))
        assert is_refused(ask_frames(service, file, "1", JPEG_2000, version))
        assert ask(service, file, EXPLICIT, version).content == file

    @both
    @pytest.mark.parametrize("missing", ["Rows", "BitsStored", "SamplesPerPixel", "PhotometricInterpretation"])
    def test_an_image_that_does_not_say_what_it_is(self, service: Service, version: str, missing: str) -> None:
        dataset = dcmread(BytesIO(picture(FRAMES, RLE, BitsStored=12)))
        delattr(dataset, missing)
        file = written(dataset)
        service.store(file)
        for target in (EXPLICIT, JPEG_2000):
            assert is_refused(ask(service, file, target, version))

    @both
    @pytest.mark.parametrize("target", [IMPLICIT, BIG_ENDIAN, JPEG_BASELINE, "1.2.840.10008.1.2.4.91", RLE])
    def test_other_targets(self, service: Service, version: str, target: str) -> None:
        file = picture(FRAMES, BitsStored=12)
        service.store(file)
        for response in (ask(service, file, target, version), ask_frames(service, file, "1", target, version)):
            assert (response.status_code, response.text) == (406, NOT_ACCEPTABLE)

    @both
    def test_files_above_the_limit(self, version: str) -> None:
        small, large = (picture(FRAMES[:count], RLE, BitsStored=12) for count in (1, 3))
        with own_emulator(max_transcode_size=len(small)) as service:
            service.store(small, large)
            for target in (EXPLICIT, JPEG_2000):
                assert ask(service, small, target, version).status_code == 200
                assert ask_frames(service, small, "1", target, version).status_code == 200
                refused = [ask(service, large, target, version), ask_frames(service, large, "1", target, version)]
                for response in refused:
                    assert response.status_code == 406
                    assert str(len(small)) in response.text and "transfer-syntax=*" in response.text
            assert ask(service, large, "*", version).content == large
            assert ask_frames(service, large, "1", "*", version).status_code == 200

    @both
    def test_a_file_that_cannot_be_read_is_503(self, tmp_path: Path, version: str) -> None:
        file = picture(FRAMES, RLE, BitsStored=12)
        with own_emulator(data_dir=tmp_path) as service:
            service.store(file)
            [kept] = [kept for kept in tmp_path.rglob("*") if kept.is_file() and kept.read_bytes() == file]
            kept.unlink()
            for target in (EXPLICIT, JPEG_2000):
                assert ask(service, file, target, version).status_code == 503
                assert ask_frames(service, file, "1", target, version).status_code == 503


def test_other_requests_are_answered_meanwhile(service: Service) -> None:
    generator = numpy.random.default_rng(1)
    file = picture(generator.integers(0, 65536, (1, 2000, 2000), "uint16"))
    service.store(file)
    assert ask_frames(service, file, "1", JPEG_2000).status_code == 200  # the process that converts is there now
    statuses: list[int] = []
    worker = Thread(target=lambda: statuses.append(ask(service, file, JPEG_2000).status_code))
    worker.start()
    answered = 0
    while worker.is_alive():
        assert service.nobody.get(f"{service.url}/health/check").status_code == 200
        answered += 1
    assert statuses == [200]
    assert answered > 10, f"only {answered} requests were answered while one image was converted"
