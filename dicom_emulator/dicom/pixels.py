"""Decoding and encoding frames with pydicom's plugins, and drawing them as a viewer would (PS3.3 C.7.6.3, C.11)."""

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.pixels import get_decoder, get_encoder
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut, apply_voi, apply_windowing
from pydicom.uid import UID, JPEG2000Lossless


class CannotDecode(ValueError):
    """The pixels, or what the file says of them, are not what a codec can work with."""


Frame = tuple[numpy.ndarray, dict[str, Any]]  # pixels, and what they are now: photometric_interpretation and so on


def decode(path: Path, numbers: list[int] | None = None) -> Iterator[Frame]:
    """The frames `numbers`, which count from 1, or all: (rows, columns) or (rows, columns, 3), YBR turned to RGB.

    Raises CannotDecode.
    """
    try:
        data_set = dcmread(path, force=True)
        decoder = get_decoder(data_set.file_meta.TransferSyntaxUID)
        indices = None if numbers is None else [number - 1 for number in numbers]
        for pixels, description in decoder.iter_array(data_set, indices=indices):
            yield pixels.astype(pixels.dtype.newbyteorder("<")), description
    except Exception as error:  # each codec raises what it likes
        raise CannotDecode(f"{type(error).__name__}: {error}") from error


def encode_jpeg_2000(pixels: numpy.ndarray, description: dict[str, Any]) -> bytes:
    """A frame as a lossless JPEG 2000 code stream. Raises CannotDecode."""
    options = {name: description[name] for name in ENCODER_OPTIONS if name in description}
    options |= {"rows": pixels.shape[0], "columns": pixels.shape[1], "number_of_frames": 1}
    try:
        return get_encoder(UID(JPEG2000Lossless)).encode(pixels, **options)
    except Exception as error:
        raise CannotDecode(f"{type(error).__name__}: {error}") from error


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
        return high_byte(apply_color_lut(pixels, data_set), data_set.RedPaletteColorLookupTableDescriptor[2])
    if pixels.ndim == 3:
        return high_byte(pixels, description["bits_stored"])
    grey = grey_levels(pixels, data_set)
    return 255 - grey if photometric == "MONOCHROME1" else grey


def high_byte(pixels: numpy.ndarray, bits: int) -> numpy.ndarray:
    return (pixels >> max(bits - 8, 0)).astype(numpy.uint8)


def grey_levels(pixels: numpy.ndarray, data_set: Dataset) -> numpy.ndarray:
    """0 to 255 through the modality LUT and the VOI LUT or first window; without these from lowest to highest."""
    values = apply_modality_lut(pixels, data_set)
    if data_set.get("VOILUTSequence"):
        values = apply_voi(values, data_set)
        low, high = 0, 2 ** data_set.VOILUTSequence[0].LUTDescriptor[2] - 1
    elif "WindowCenter" in data_set and "WindowWidth" in data_set:
        # What is far outside of the window comes out at the ends of its output range.
        low, high = apply_windowing(numpy.array([-1e300, 1e300]), data_set)
        values = apply_windowing(values, data_set)
    else:
        low, high = values.min(), values.max()
    if high == low:
        return numpy.zeros(values.shape, numpy.uint8)
    scaled = (values.astype(numpy.float64) - float(low)) / (float(high) - float(low))
    return numpy.round(255 * scaled.clip(0, 1)).astype(numpy.uint8)
