"""From the bytes of a frame to a picture, with the facts about it in words."""

import base64
import hashlib
import io
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.pixels import get_decoder
from pydicom.uid import ExplicitVRLittleEndian

from helpers.errors import HelperError

HEIGHT = 2.7  # inches: a picture of one frame is about this high
DOTS_PER_INCH = 100

# On the first day matplotlib lists the fonts of the machine; its remark about that would land in the learner's cell.
logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)


class FrameError(HelperError, ValueError):
    """The bytes and the metadata do not belong together."""


def decode_frame(frame: bytes, metadata: Dataset | Mapping[str, Any]) -> numpy.ndarray:
    """The pixels of one uncompressed frame, as stored in little endian order (PS3.5 §8.1.1, §8.2).

    `metadata` is the instance's data set: a pydicom Dataset, or one object of the DICOM JSON that `/metadata` returns.
    The array has the shape (rows, columns), or (rows, columns, 3) for colour; YBR becomes RGB.

    Raises FrameError when an attribute is missing or the number of bytes is not the one that the metadata announces.

    >>> decode_frame(bytes(range(6)), example_dataset)
    array([[0, 1, 2],
           [3, 4, 5]], dtype=uint8)
    """
    layout = pixel_layout(metadata)
    check_length(frame, layout)
    pixels, _ = get_decoder(ExplicitVRLittleEndian).as_array(
        frame, index=0, number_of_frames=1, pixel_keyword="PixelData", **layout
    )
    return pixels


def pixel_layout(metadata: Dataset | Mapping[str, Any]) -> dict[str, Any]:
    """How the pixels lie in the bytes, by the names that pydicom's decoder knows."""
    if isinstance(metadata, Sequence):
        raise FrameError("`metadata` is a list with one data set for each instance: pass one of them, as metadata[0]")
    samples = attribute(metadata, "SamplesPerPixel")
    bits = attribute(metadata, "BitsAllocated")
    return {
        "rows": attribute(metadata, "Rows"),
        "columns": attribute(metadata, "Columns"),
        "samples_per_pixel": samples,
        "bits_allocated": bits,
        "bits_stored": attribute(metadata, "BitsStored", bits),
        "pixel_representation": attribute(metadata, "PixelRepresentation"),
        "photometric_interpretation": attribute(metadata, "PhotometricInterpretation"),
        **({"planar_configuration": attribute(metadata, "PlanarConfiguration", 0)} if samples > 1 else {}),
    }


def attribute(metadata: Dataset | Mapping[str, Any], keyword: str, default: Any = None) -> Any:
    """One value out of a pydicom Dataset or a DICOM JSON object; FrameError if it is needed and not there."""
    if isinstance(metadata, Dataset):
        value = metadata.get(keyword)
    else:
        value = metadata.get(f"{tag_for_keyword(keyword):08X}", {}).get("Value", [None])[0]
    if value is None and default is None:
        raise FrameError(
            f"the metadata has no {keyword}, without which bytes are not a picture. Search replies are too short for "
            "this: take the instance's /metadata."
        )
    return default if value is None else value


def check_length(frame: bytes, layout: Mapping[str, Any]) -> None:
    rows, columns, samples, bits = (layout[name] for name in ("rows", "columns", "samples_per_pixel", "bits_allocated"))
    photometric = layout["photometric_interpretation"]
    if photometric == "YBR_FULL_422":  # two pixels share their colour
        samples = 2
    expected = (rows * columns * samples * bits + 7) // 8
    if len(frame) == expected:
        return
    if len(frame) == expected + 1:
        cause = "One byte more is the pad byte that makes a file's PixelData even: it belongs to no frame, cut it off."
    elif frame[:2] in (b"\xff\xd8", b"\xff\x4f") or frame[4:8] == b"jP  ":
        cause = "The bytes begin like a JPEG: the frame is compressed. Ask for transfer-syntax=1.2.840.10008.1.2.1."
    elif len(frame) < expected:
        cause = (
            "Fewer bytes mean a compressed frame (look at the part's Content-Type), a reply that was cut off, "
            "or the metadata of another instance."
        )
    else:
        cause = (
            "More bytes mean several frames in one, a multipart body that was not split, "
            "or the metadata of another instance."
        )
    raise FrameError(
        f"the metadata announces {rows} rows × {columns} columns × {samples} samples × {bits} bits "
        f"= {expected} bytes, but there are {len(frame)}. {cause}"
    )


def facts(pixels: numpy.ndarray, title: str) -> str:
    """A frame in one line: size, type, range, and a fingerprint of the pixels.

    >>> facts(numpy.zeros((2, 3), "uint8"), title="night, frame 1")
    'night, frame 1: 2×3 uint8, min 0, max 0, sha256 b0f66adc8364…'
    """
    digest = hashlib.sha256(pixels.tobytes()).hexdigest()
    shape = "×".join(str(length) for length in pixels.shape)
    return f"{title}: {shape} {pixels.dtype}, min {pixels.min()}, max {pixels.max()}, sha256 {digest[:12]}…"


def show_frame(pixels: numpy.ndarray, title: str, alt: str) -> None:
    """Draw one frame; print the facts about it, and `alt`, which says what there is to see.

    `pixels`: (rows, columns) or (rows, columns, 3).
    """
    show_frames({title: pixels}, alt)


def show_frames(frames: Mapping[str, numpy.ndarray], alt: str) -> None:
    """Draw frames side by side, by their titles; print the facts about each, and `alt`.

    The description is printed since JupyterLab gives an image no alternative text; VS Code and nbconvert do.
    """
    from IPython.display import display

    display(Picture(draw(frames), alt))
    for title, pixels in frames.items():
        print(facts(pixels, title))
    print(f"Picture: {alt}")


class Picture:
    """A PNG image with its description, for every front end: VS Code takes the plain text, nbconvert the metadata."""

    def __init__(self, png: bytes, alt: str) -> None:
        self.png = png
        self.alt = alt

    def __repr__(self) -> str:
        return f"[picture: {self.alt}]"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> tuple[dict[str, Any], dict[str, Any]]:
        data = {"image/png": base64.b64encode(self.png).decode(), "text/plain": repr(self)}
        return data, {"image/png": {"alt": self.alt}}


def draw(frames: Mapping[str, numpy.ndarray]) -> bytes:
    """`frames` side by side with their titles on white, as a PNG file that is the same on every run."""
    # Imported here, since it takes a second: lessons without pictures start sooner. No pyplot, no figure left open.
    from matplotlib.figure import Figure

    width = sum(pixels.shape[1] / pixels.shape[0] for pixels in frames.values()) * HEIGHT
    figure = Figure(figsize=(width + 0.2, HEIGHT + 0.3), dpi=DOTS_PER_INCH, layout="constrained", facecolor="white")
    for axes, (title, pixels) in zip(figure.subplots(1, len(frames), squeeze=False)[0], frames.items()):
        axes.imshow(drawable(pixels), cmap="gray", **grey_range(pixels))
        axes.set_title(title, fontsize=9)
        axes.set_axis_off()
    png = io.BytesIO()
    figure.savefig(png, format="png", metadata={"Software": None})
    return png.getvalue()


def drawable(pixels: numpy.ndarray) -> numpy.ndarray:
    """Colour with more than 8 bits scaled to 0…1, which is what matplotlib draws; the rest as it is."""
    if pixels.ndim == 3 and pixels.dtype != numpy.uint8:
        return pixels / numpy.iinfo(pixels.dtype).max
    return pixels


def grey_range(pixels: numpy.ndarray) -> dict[str, int]:
    """Black to white for 8 bits; other grey pictures are stretched from their darkest to their brightest pixel."""
    return {"vmin": 0, "vmax": 255} if pixels.dtype == numpy.uint8 else {}
