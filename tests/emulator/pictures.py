"""Images for the tests of codecs: all that come with pydicom, and small ones whose samples are known beforehand."""

from base64 import b64decode
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import gdcm
import numpy
import pytest
from pydicom import Dataset, dcmread
from pydicom.encaps import encapsulate
from pydicom.pixels import pixel_array
from pydicom.uid import generate_uid

from tests.emulator.dicom_files import instance
from tests.emulator.test_store_bytes import CUT_OFF, FOLDER, REQUIRED, bundled_files, fault

EXPLICIT, BIG_ENDIAN, DEFLATED = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"
IMPLICIT, JPEG_BASELINE, JPEG_LOSSLESS, JPEG_LOSSLESS_SV1 = (
    "1.2.840.10008.1.2", "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70"
)  # fmt: skip
JPEG_LS, JPEG_2000, JPEG_2000_LOSSY = "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91"
HTJ2K, RLE = "1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.5"
UNCOMPRESSED = {IMPLICIT, EXPLICIT, BIG_ENDIAN, DEFLATED}
LOSSLESS = [JPEG_LOSSLESS, JPEG_LOSSLESS_SV1, JPEG_LS, JPEG_2000, RLE]

# Code streams made with OpenJPH, since nothing that pydicom uses encodes HTJ2K, and the samples that went in.
ROW, COLUMN = numpy.mgrid[:32, :32]
GREY = (ROW * 700 + COLUMN * 17).astype("uint16")
RGB = numpy.stack([ROW * 8, COLUMN * 8, 255 - ROW * 8], -1).astype("uint8")
HTJ2K_GREY = b64decode(
    "/0//UQApQAAAAAAgAAAAIAAAAAAAAAAAAAAAIAAAACAAAAAAAAAAAAABDwEB/1AACAACAAAACv9SAAwAAgABAAUEBEAB/1wAEyCIkJCQkJCQkJCQ"
    "kJCQiIiI/2QAFwABT3BlbkpQSCBWZXIgMC4yNi4zLv+QAAoAAAAAAMwAAf+TwAAmx8wFB3QAwAATQAATAGz+Agd0AP7jBId0AMAAE0AAFQA2NgGC"
    "dAD8MX/8AQNUAMAAFTAABWAajUbzqnECdQDyWB7lUR7Ac4HstgDAABXQAAWqiqIoiqIo58p6enCCeABMzEQmMpGJTGQiE/2YwHv2YwHsugDAAC14"
    "AAXUAAAAAAAAAAAAAAD5/wp6enp6enpwAn0AdrXLLrvssssuu+yyyy677LLLLrv+/3hhSge/ZSge/ZSge/ZSgeyzAf/Z"
)
HTJ2K_RGB = b64decode(
    "/0//UQAvQAAAAAAgAAAAIAAAAAAAAAAAAAAAIAAAACAAAAAAAAAAAAADBwEBBwEBBwEB/1AACAACAAAAA/9SAAwAAgABAQUEBEAB/1wAEyBQWFhY"
    "WFhYWFhYWFhYUFBQ/2QAFwABT3BlbkpQSCBWZXIgMC4yNi4zLv+QAAoAAAAAAW0AAf+TwBKA9wAHdADAEoDYAQd0AADACUCQAQd0AMAJYASgIwGH"
    "dAAjAYd0AMAJYASgIwGHdAAiAYd0AMAJgAjyAIJ0AMAJoATAkcgBAnQAkZEAQ1QAwAmgBMCRyAECdACQkABDVADACoBCCPGqcAJ1AMAKiAFUx3Ec"
    "qnCCdQDH4zj+wBCB7LYAwAqIAVTHcRyqcIJ1AEgEQf7AEIHstgDACsAAAAAA58Cnp6fCeADACtgBaABjjDHGGOfKenpwAngA4xhjjDH+/YAAe/YA"
    "Aey6AMAK2AFoAGOMMcYY58p6enACeACiEEIIIf79gAB79gAB7LoAwBaAqqqqqvn/Kenp6enp6eJ8AMAWnAFqgP9//3//f/n/AKenp6enp6dCfQD/"
    "f/9//3//eGEnv2Se/ZJ79knsvwDAFpwBaoD/f/9//3/5/wCnp6enp6enQn0Abtu2bdu2/3hhJ79knv2Se/ZJ7L8A/9k="
)


def all_files() -> Any:
    """A parameter "file" for each DICOM file that comes with pydicom, but those that are cut off."""
    files = [file for file in bundled_files() if is_dicom(file)]
    return pytest.mark.parametrize("file", files, ids=lambda file: file.relative_to(FOLDER).as_posix())


def is_dicom(file: Path) -> bool:
    content = file.read_bytes()
    return file.name not in CUT_OFF and (content[128:132] == b"DICM" or content[:2] in {b"\2\0", b"\x08\0"})


def storable(file: Path) -> bytes:
    """The file; where the service would refuse it, with the attributes that it lacks."""
    content = file.read_bytes()
    if fault(file, "v2") is None:
        return content
    dataset = dcmread(BytesIO(content), force=True)
    list(dataset)  # finds the VR of attributes that are UN
    for keyword in (*REQUIRED, "PatientID"):
        if not dataset.get(keyword):
            setattr(dataset, keyword, "P1" if keyword == "PatientID" else generate_uid())
    dataset.file_meta.setdefault("TransferSyntaxUID", IMPLICIT if dataset.original_encoding[0] else EXPLICIT)
    return written(dataset)


def place(content: bytes) -> str:
    """The path of the instance, as it follows the version in a URL; also where the file has no meta information."""
    dataset = dcmread(BytesIO(content), force=True, stop_before_pixels=True)
    return f"studies/{dataset.StudyInstanceUID}/series/{dataset.SeriesInstanceUID}/instances/{dataset.SOPInstanceUID}"


def samples(content: bytes) -> numpy.ndarray | None:
    """The pixels as pydicom decodes them, frames first, YBR turned to RGB; None where it cannot."""
    dataset = dcmread(BytesIO(content), force=True)
    try:
        pixels = pixel_array(dataset)
    except Exception:  # whatever it is that a codec does not like
        return None
    return pixels if int(dataset.get("NumberOfFrames") or 1) > 1 else pixels[numpy.newaxis]


def has_pixels(content: bytes) -> bool:
    return "PixelData" in dcmread(BytesIO(content), force=True)


def is_image(content: bytes) -> bool:
    """Pixel data, and what it takes to tell its frames apart."""
    dataset = dcmread(BytesIO(content), force=True)
    return all(keyword in dataset for keyword in ("PixelData", "Rows", "Columns", "BitsAllocated"))


def picture(pixels: numpy.ndarray, syntax: str = EXPLICIT, **attributes: Any) -> bytes:
    """An image of the samples (frames, rows, columns) or (frames, rows, columns, 3), losslessly in any syntax.

    `attributes` replace what the array says of itself; PlanarConfiguration 1 orders the samples by plane.
    """
    colour = pixels.ndim == 4
    bits = pixels.dtype.itemsize * 8
    described = {
        "NumberOfFrames": len(pixels), "Rows": pixels.shape[1], "Columns": pixels.shape[2],
        "SamplesPerPixel": 3 if colour else 1, "PhotometricInterpretation": "RGB" if colour else "MONOCHROME2",
        "BitsAllocated": bits, "BitsStored": bits, "PixelRepresentation": int(pixels.dtype.kind == "i"),
    } | ({"PlanarConfiguration": 0} if colour else {}) | attributes  # fmt: skip
    described.setdefault("HighBit", described["BitsStored"] - 1)
    by_plane = described.get("PlanarConfiguration") and syntax in UNCOMPRESSED  # it says nothing of the others
    pixels = pixels.transpose(0, 3, 1, 2) if by_plane else pixels
    raw = pixels.astype(pixels.dtype.newbyteorder(">" if syntax == BIG_ENDIAN else "<")).tobytes()
    raw += b"\0" * (len(raw) % 2)
    if syntax in UNCOMPRESSED:
        return instance(syntax, pixels=raw, **described)
    planar = {"PlanarConfiguration": 0} if colour else {}
    dataset = dcmread(BytesIO(compress(instance(pixels=raw, **(described | planar)), syntax)))
    for keyword, value in described.items():
        setattr(dataset, keyword, value)
    return written(dataset)


def compress(file: bytes, syntax: str) -> bytes:
    """The uncompressed `file` in a compressed transfer syntax: JPEG lossless made by GDCM, all others by pydicom."""
    if syntax not in {JPEG_LOSSLESS, JPEG_LOSSLESS_SV1}:
        dataset = dcmread(BytesIO(file))
        plugin = {"encoding_plugin": "pydicom"} if syntax == RLE else {}  # GDCM's kills the process at odd sizes
        dataset.compress(syntax, generate_instance_uid=False, **plugin)
        return written(dataset)
    with TemporaryDirectory() as folder:
        before, after = Path(folder, "before"), Path(folder, "after")
        before.write_bytes(file)
        reader, change, writer = gdcm.ImageReader(), gdcm.ImageChangeTransferSyntax(), gdcm.ImageWriter()
        reader.SetFileName(str(before))
        assert reader.Read()
        process = "JPEGLosslessProcess14" if syntax == JPEG_LOSSLESS else "JPEGLosslessProcess14_1"
        change.SetTransferSyntax(gdcm.TransferSyntax(getattr(gdcm.TransferSyntax, process)))
        change.SetInput(reader.GetImage())
        assert change.Change()
        writer.SetFileName(str(after))
        writer.SetFile(reader.GetFile())
        writer.SetImage(change.GetOutput())
        assert writer.Write()
        return after.read_bytes()


def encapsulated(native: bytes, syntax: str, frames: list[bytes], **attributes: Any) -> bytes:
    """The description of the image `native`, with the code streams `frames` as its pixels."""
    dataset = dcmread(BytesIO(native))
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.PixelData = encapsulate(frames)
    dataset["PixelData"].is_undefined_length = True
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    return written(dataset)


def written(dataset: Dataset, **options: Any) -> bytes:
    buffer = BytesIO()
    dataset.save_as(buffer, **options)
    return buffer.getvalue()
