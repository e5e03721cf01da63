"""Instances for the tests, made in memory, and multipart bodies to send them in."""

import io
import struct
from typing import Any

import numpy
from pydicom import dcmread
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, generate_uid

SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
BINARY = {"OB", "OD", "OF", "OL", "OV", "OW", "UN"}
LONG_LENGTH = BINARY | {"SQ", "SV", "UC", "UR", "UT", "UV"}


def instance(
    transfer_syntax: str = ExplicitVRLittleEndian,
    pixels: numpy.ndarray | bytes | None = None,
    leave_out: tuple[str, ...] = (),
    **attributes: Any,
) -> bytes:
    """A Part 10 file with fresh UIDs and the given attributes, by keyword.

    `pixels`: an array (frames, rows, columns) or (rows, columns), stored uncompressed, or bytes, stored as they are.
    `leave_out`: keywords of the attributes below that the file shall lack.
    """
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID = SECONDARY_CAPTURE
    dataset.SOPInstanceUID = generate_uid()
    dataset.StudyInstanceUID = generate_uid()
    dataset.SeriesInstanceUID = generate_uid()
    dataset.PatientID = "P1"
    dataset.PatientName = "Test^Tess"
    dataset.Modality = "OT"
    if pixels is not None:
        add_pixels(dataset, pixels, transfer_syntax)
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    for keyword in leave_out:
        delattr(dataset, keyword)
    return part10(dataset, transfer_syntax)


def add_pixels(dataset: Dataset, pixels: numpy.ndarray | bytes, transfer_syntax: str) -> None:
    if isinstance(pixels, bytes):
        dataset.PixelData = pixels
        return
    bits = pixels.dtype.itemsize * 8
    dataset.NumberOfFrames = pixels.shape[0] if pixels.ndim == 3 else 1
    dataset.Rows, dataset.Columns = pixels.shape[-2:]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = bits, bits, bits - 1, 0
    raw = pixels.astype(pixels.dtype.newbyteorder(">" if transfer_syntax == "1.2.840.10008.1.2.2" else "<")).tobytes()
    dataset.PixelData = raw + b"\0" * (len(raw) % 2)
    dataset["PixelData"].VR = "OW" if bits > 8 else "OB"


def part10(dataset: Dataset, transfer_syntax: str = ExplicitVRLittleEndian) -> bytes:
    """`dataset` as the bytes of a DICOM file, written exactly as it is, valid or not."""
    from pydicom.filewriter import dcmwrite

    meta = FileMetaDataset()
    meta.TransferSyntaxUID = transfer_syntax
    meta.MediaStorageSOPClassUID = dataset.get("SOPClassUID", SECONDARY_CAPTURE)
    meta.MediaStorageSOPInstanceUID = dataset.get("SOPInstanceUID", "1.2.3")
    dataset.file_meta = meta
    buffer = io.BytesIO()
    dcmwrite(buffer, dataset, enforce_file_format=True, overwrite=True)
    return buffer.getvalue()


def multipart(
    *files: bytes, boundary: str = "test-boundary", type: str | None = "application/dicom"
) -> tuple[bytes, str]:
    """(body, Content-Type) of a multipart/related request with one application/dicom part for each file."""
    delimiter = f"--{boundary}\r\n".encode()
    parts = b"".join(delimiter + b"Content-Type: application/dicom\r\n\r\n" + file + b"\r\n" for file in files)
    media_type = "multipart/related" + (f'; type="{type}"' if type else "") + f"; boundary={boundary}"
    return parts + f"--{boundary}--\r\n".encode(), media_type


def split_multipart(response: Any) -> list[tuple[dict[str, str], bytes]]:
    """The parts of a multipart response, each as (headers with lower-case names, body), cut by hand."""
    boundary = response.headers["Content-Type"].split("boundary=")[1].split(";")[0].strip('"')
    pieces = (b"\r\n" + response.content).split(b"\r\n--" + boundary.encode())
    assert pieces[0] == b"" and pieces[-1].startswith(b"--"), "not framed as multipart"
    parts = []
    for piece in pieces[1:-1]:
        head, body = piece.removeprefix(b"\r\n").split(b"\r\n\r\n", 1)
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        parts.append(({name.lower(): value for name, value in fields.items()}, body))
    return parts


def fragments(*frames: bytes | list[bytes], offset_table: bool = True) -> bytes:
    """Encapsulated Pixel Data (PS3.5 §A.4): each frame is one fragment, or a list of them; odd ones are padded."""
    lists = [[frame] if isinstance(frame, bytes) else frame for frame in frames]
    items = [b"".join(item(piece + b"\0" * (len(piece) % 2)) for piece in pieces) for pieces in lists]
    offsets = [sum(len(earlier) for earlier in items[:position]) for position in range(len(items))]
    table = b"".join(struct.pack("<I", offset) for offset in offsets) if offset_table else b""
    return item(table) + b"".join(items)


def item(content: bytes) -> bytes:
    return struct.pack("<HHI", 0xFFFE, 0xE000, len(content)) + content


def with_raw_value(file: bytes, tag: int, value: bytes) -> bytes:
    """`file` (explicit VR little endian) with `value`, of even length, as it is in the top-level element `tag`.

    For values that pydicom tidies up, such as UIDs padded with spaces. Only for VRs with a length of two bytes.
    """
    assert len(value) % 2 == 0, "values have an even length"
    start = file.index(struct.pack("<HH", tag >> 16, tag & 0xFFFF))
    length = struct.unpack_from("<H", file, start + 6)[0]
    return file[: start + 6] + struct.pack("<H", len(value)) + value + file[start + 8 + length :]


def uids(file: bytes) -> tuple[str, str, str]:
    """The study, series and SOP instance UID of `file`."""
    dataset = dcmread(io.BytesIO(file), stop_before_pixels=True)
    return dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID


def path(file: bytes, level: str = "instance") -> str:
    """The path of the study, series or instance of `file`, as it follows the version in a URL."""
    study, series, sop = uids(file)
    resources = {"study": f"studies/{study}", "series": f"studies/{study}/series/{series}"}
    return resources.get(level) or f"{resources['series']}/instances/{sop}"


def raw_instance(
    changes: dict[str, bytes | tuple[str, bytes] | None] | None = None, transfer_syntax: str = ExplicitVRLittleEndian
) -> bytes:
    """A Part 10 file in little endian whose values are exactly the given bytes, however wrong they are.

    `changes`: keyword or 8 hex digits -> the value, or (VR, value), or None for an attribute that the file shall lack.
    Values of odd length get one pad byte: NUL for UI and binary VRs, else a space.
    """
    values: dict[str, bytes | tuple[str, bytes] | None] = {
        "SpecificCharacterSet": b"ISO_IR 192",
        "SOPClassUID": SECONDARY_CAPTURE.encode(),
        "SOPInstanceUID": generate_uid().encode(),
        "Modality": b"OT",
        "PatientName": b"Test^Tess",
        "PatientID": b"P1",
        "StudyInstanceUID": generate_uid().encode(),
        "SeriesInstanceUID": generate_uid().encode(),
    } | (changes or {})
    meta = (
        element(0x00020001, "OB", b"\0\1")
        + element(0x00020002, "UI", SECONDARY_CAPTURE.encode())
        + element(0x00020003, "UI", b"1.2.3")
        + element(0x00020010, "UI", transfer_syntax.encode())
    )
    return (
        bytes(128)
        + b"DICM"
        + element(0x00020000, "UL", struct.pack("<I", len(meta)))
        + meta
        + raw_dataset(values, transfer_syntax)
    )


def raw_dataset(
    values: dict[str, bytes | tuple[str, bytes] | None], transfer_syntax: str = ExplicitVRLittleEndian
) -> bytes:
    """The elements of `values` (see `raw_instance`) in the order of their tags."""
    implicit = transfer_syntax == ImplicitVRLittleEndian
    by_tag = {tag_for_keyword(name) or int(name, 16): value for name, value in values.items() if value is not None}
    content = b""
    for tag, value in sorted(by_tag.items()):
        vr, value = value if isinstance(value, tuple) else (dictionary_VR(tag), value)
        content += element(tag, vr, value, implicit)
    return content


def element(tag: int, vr: str, value: bytes, implicit: bool = False) -> bytes:
    """One data element in little endian (PS3.5 §7.1), padded to even length."""
    value += (b"\0" if vr in BINARY | {"UI", "SQ"} else b" ") * (len(value) % 2)
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF)
    if implicit:
        return head + struct.pack("<I", len(value)) + value
    length = struct.pack("<HI", 0, len(value)) if vr in LONG_LENGTH else struct.pack("<H", len(value))
    return head + vr.encode() + length + value
