"""Instances for the tests, made in memory, and multipart bodies to send them in."""

import io
from typing import Any

import numpy
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


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


def multipart(*files: bytes, boundary: str = "test-boundary", type: str | None = "application/dicom") -> tuple[bytes, str]:
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
