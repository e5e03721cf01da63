"""Decoding and encoding frames with pydicom's plugins, and drawing them as a viewer would (PS3.3 C.7.6.3, C.11)."""

from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy
from PIL import Image
from pydicom import dcmread
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.pixels import get_decoder, get_encoder
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut, apply_windowing
from pydicom.uid import UID, JPEG2000Lossless


class CannotDecode(ValueError):
    """The pixels, or what the file says of them, are not what a codec can work with."""


Frame = tuple[numpy.ndarray, dict[str, Any]]  # pixels, and what they are now: photometric_interpretation and so on


def decode(path: Path, numbers: list[int] | None = None) -> Iterator[Frame]:
    """The frames `numbers`, which count from 1, or all: (rows, columns) or (rows, columns, 3), YBR turned to RGB.

    Raises CannotDecode, or OSError when the file cannot be read.
    """
    with path.open("rb") as file:
        try:
            data_set = dcmread(file, force=True)
            decoder = get_decoder(data_set.file_meta.TransferSyntaxUID)
            for number in numbers or range(1, int(data_set.get("NumberOfFrames") or 1) + 1):
                yield as_announced(*decoder.as_array(data_set, index=number - 1), data_set.BitsAllocated)
        except Exception as error:  # each codec raises what it likes
            raise CannotDecode(f"{type(error).__name__}: {error}") from error


def as_announced(pixels: numpy.ndarray, description: dict[str, Any], bits_allocated: int) -> Frame:
    """The pixels in little endian order and in as many bits as the data set says, whatever the codec made of them."""
    size = max(bits_allocated // 8, 1)
    description = description | {"bits_allocated": bits_allocated}
    return pixels.astype(numpy.dtype(f"{pixels.dtype.kind}{size}").newbyteorder("<")), description


def encode_jpeg_2000(pixels: numpy.ndarray, description: dict[str, Any]) -> bytes:
    """A frame as a lossless JPEG 2000 code stream. Raises CannotDecode."""
    try:
        if description["bits_allocated"] not in {8, 16}:
            raise CannotDecode(f"JPEG 2000 here holds 8 or 16 bits, not {description['bits_allocated']}")
        if min(pixels.shape[:2]) < SMALLEST:
            return encode_small(pixels)
        options = {name: description[name] for name in ENCODER_OPTIONS if name in description}
        options |= {"rows": pixels.shape[0], "columns": pixels.shape[1], "number_of_frames": 1}
        return get_encoder(UID(JPEG2000Lossless)).encode(pixels, **options)
    except Exception as error:
        raise CannotDecode(f"{type(error).__name__}: {error}") from error


def encode_small(pixels: numpy.ndarray) -> bytes:
    """As above; pylibjpeg halves the picture five times, for which some are too small. Pillow can do without."""
    signed = pixels.dtype.kind == "i"
    middle = 1 << (8 * pixels.dtype.itemsize - 1)
    unsigned = (pixels.astype(numpy.int32) + middle * signed).astype(f"u{pixels.dtype.itemsize}")
    out = BytesIO()
    Image.fromarray(unsigned).save(out, "JPEG2000", irreversible=False, num_resolutions=1, no_jp2=True, mct=0)
    code = bytearray(out.getvalue())
    if signed:
        # Unsigned samples are kept less the middle of their range, which is what the signed ones are. So only the sign
        # has to be told, in the first bit of Ssiz (ISO/IEC 15444-1 §A.5.1).
        code[code.index(SIZ_MARKER) + SSIZ] |= 0x80
    return bytes(code)


SIZ_MARKER, SSIZ = b"\xff\x51", 40  # how large an image is; where its first component's depth stands, in bytes
SMALLEST = 32  # rows or columns that can be halved five times
ENCODER_OPTIONS = (
    "samples_per_pixel",
    "bits_allocated",
    "bits_stored",
    "pixel_representation",
    "photometric_interpretation",
    "planar_configuration",
)


def draw(path: Path, number: int, media_type: str, quality: int) -> bytes:
    """The frame as image/jpeg or image/png, in grey or colour with 8 bits. Raises CannotDecode.

    quality: of a JPEG, 1 to 100.
    """
    ((pixels, description),) = decode(path, [number])
    try:
        data_set = dcmread(path, force=True, stop_before_pixels=True)
        picture = Image.fromarray(visible(pixels, description, frame_attributes(data_set, number)))
        out = BytesIO()
        if media_type == "image/png":
            picture.save(out, "PNG")
        else:
            picture.save(out, "JPEG", quality=quality, subsampling=0)
    except Exception as error:
        raise CannotDecode(f"{type(error).__name__}: {error}") from error
    return out.getvalue()


def frame_attributes(data_set: Dataset, number: int) -> Dataset:
    """The data set with what an enhanced multi-frame image says of this frame or of all (PS3.3 C.7.6.16)."""
    groups = list(data_set.get("SharedFunctionalGroupsSequence", []))
    per_frame = data_set.get("PerFrameFunctionalGroupsSequence", [])
    groups += [per_frame[number - 1]] if number <= len(per_frame) else []
    for group in groups:
        for keyword in ("PixelValueTransformationSequence", "FrameVOILUTSequence"):
            for item in group.get(keyword, []):
                data_set.update(item)
    return data_set


def visible(pixels: numpy.ndarray, description: dict[str, Any], data_set: Dataset) -> numpy.ndarray:
    """8-bit grey or RGB, as it shall be seen."""
    photometric = description["photometric_interpretation"]
    if photometric == "PALETTE COLOR":
        return through_palette(pixels, data_set)
    if pixels.ndim == 3:
        return high_byte(pixels, description["bits_stored"])
    grey = grey_levels(pixels, data_set)
    return 255 - grey if photometric == "MONOCHROME1" else grey


def through_palette(pixels: numpy.ndarray, data_set: Dataset) -> numpy.ndarray:
    """The colours that the pixels are numbers of (PS3.3 C.7.9)."""
    bits = data_set.RedPaletteColorLookupTableDescriptor[2]
    if "SegmentedRedPaletteColorLookupTableData" in data_set:
        return high_byte(apply_color_lut(pixels, data_set), bits)
    words = word_format(data_set)
    names = [f"{colour}PaletteColorLookupTable" for colour in ("Red", "Green", "Blue")]
    channels = [look_up(pixels, data_set[f"{name}Descriptor"].value, data_set[f"{name}Data"], words) for name in names]
    return high_byte(numpy.stack(channels, axis=-1), bits)


def word_format(data_set: Dataset) -> str:
    return ">u2" if data_set.original_encoding[1] is False else "<u2"


def look_up(pixels: numpy.ndarray, descriptor: Sequence[int], data: DataElement, words: str) -> numpy.ndarray:
    """Each pixel's entry in a table; below the first value mapped the first entry, above the last one the last.

    words: "<u2" or ">u2", how the file writes numbers of 16 bits.
    """
    count, first = descriptor[0] or 65536, descriptor[1]
    if not isinstance(data.value, bytes):
        entries = numpy.array(data.value)
    elif len(data.value) >= 2 * count:
        entries = numpy.frombuffer(data.value, words)[:count]
    else:
        entries = numpy.frombuffer(data.value, "u1")[:count]
    return entries[(pixels.astype(numpy.int64) - first).clip(0, len(entries) - 1)]


def high_byte(pixels: numpy.ndarray, bits: int) -> numpy.ndarray:
    return (pixels >> max(bits - 8, 0)).astype(numpy.uint8)


def grey_levels(pixels: numpy.ndarray, data_set: Dataset) -> numpy.ndarray:
    """0 to 255 through the modality LUT and the VOI LUT or first window; without these from lowest to highest."""
    values = apply_modality_lut(pixels, data_set)
    table = next((item for item in data_set.get("VOILUTSequence") or [] if "LUTData" in item), None)
    window = [data_set.get(keyword) for keyword in ("WindowCenter", "WindowWidth")]
    if table is not None:
        values = look_up(values, table.LUTDescriptor, table["LUTData"], word_format(data_set))
        low, high = 0, 2 ** table.LUTDescriptor[2] - 1
    elif not any(value is None or value == "" for value in window):
        # What is far outside of the window comes out at the ends of its output range.
        low, high = apply_windowing(numpy.array([-1e300, 1e300]), data_set)
        values = apply_windowing(values, data_set)
    else:
        low, high = values.min(), values.max()
    if high == low:
        return numpy.zeros(values.shape, numpy.uint8)
    scaled = (values.astype(numpy.float64) - float(low)) / (float(high) - float(low))
    return numpy.round(255 * scaled.clip(0, 1)).astype(numpy.uint8)
