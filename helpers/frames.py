"""From the bytes of a frame to a picture, with the facts about it in words."""

import base64
import hashlib
import io
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from html import escape
from typing import Any

import numpy
from pydicom import config
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixels import get_decoder
from pydicom.pixels.decoders.base import Decoder
from pydicom.uid import UID, ExplicitVRLittleEndian

from helpers.errors import HelperError

HEIGHT = 2.7  # inches: a picture of one frame is about this high
SMALL = 1.2  # inches: a frame of a strip
DOTS_PER_INCH = 100

# On the first day matplotlib lists the fonts of the machine; its remark about that would land in the learner's cell.
logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)


ASK_FOR_PLAIN = "Or ask the server for plain bytes: transfer-syntax=1.2.840.10008.1.2.1."


class FrameError(HelperError, ValueError):
    """The bytes and the metadata do not belong together."""


def decode_frame(
    frame: bytes, metadata: Dataset | Mapping[str, Any], transfer_syntax: str = ExplicitVRLittleEndian
) -> numpy.ndarray:
    """The pixels of one frame, as stored (PS3.5 §8.1.1, §8.2): no rescaling, no window, no palette.

    `metadata` is the instance's data set: a pydicom Dataset, or one object of the DICOM JSON that `/metadata` returns.
    `transfer_syntax` is how the bytes are coded; the part that brought them says so: `part.transfer_syntax`.
    The array has the shape (rows, columns), or (rows, columns, 3) for colour; YBR becomes RGB.

    Raises FrameError when an attribute is missing, the number of bytes is not the one that the metadata announces, or
    the bytes are not coded as `transfer_syntax` says.

    >>> decode_frame(bytes(range(6)), example_dataset)
    array([[0, 1, 2],
           [3, 4, 5]], dtype=uint8)
    """
    layout = pixel_layout(metadata)
    syntax = UID(transfer_syntax, validation_mode=config.IGNORE)  # what is none is refused below
    options: dict[str, Any] = {"index": 0, "number_of_frames": 1, "pixel_keyword": "PixelData", **layout}
    decoder = decoder_of(syntax)
    if not syntax.is_compressed:
        check_length(frame, layout)
        return decoder.as_array(frame, **options)[0]
    try:
        return decoder.as_array(encapsulate([frame]), **options)[0]
    except Exception as problem:
        raise FrameError(
            f"the {len(frame)} bytes cannot be decoded as {syntax.name} ({type(problem).__name__}). "
            f"Is it the transfer syntax of this part? {ASK_FOR_PLAIN}"
        ) from problem


def decoder_of(transfer_syntax: UID) -> Decoder:
    with suppress(NotImplementedError):
        if transfer_syntax.is_valid:
            return get_decoder(transfer_syntax)
    raise FrameError(f"{transfer_syntax or 'nothing'} is no transfer syntax of pictures. {ASK_FOR_PLAIN}")


def read_picture(content: bytes) -> numpy.ndarray:
    """The pixels of a PNG or JPEG file, such as `/rendered` returns: uint8, (rows, columns) or (rows, columns, 3).

    A picture whose three colours are equal everywhere comes back as grey. Raises FrameError when it is no picture.

    >>> read_picture(b"")
    Traceback (most recent call last):
    helpers.frames.FrameError: these 0 bytes are no PNG or JPEG. Did the server send a text? Print the response's text.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(content)) as image:
            pixels = numpy.asarray(image.convert("RGB"))
    except (UnidentifiedImageError, OSError) as problem:
        raise FrameError(
            f"these {len(content)} bytes are no PNG or JPEG. Did the server send a text? Print the response's text."
        ) from problem
    grey = (pixels == pixels[..., :1]).all()
    return pixels[..., 0] if grey else pixels


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
        cause = (
            "The bytes begin like a JPEG: the frame is compressed. Ask for transfer-syntax=1.2.840.10008.1.2.1, "
            "or say how it is coded: decode_frame(part.content, metadata, part.transfer_syntax)."
        )
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


def show_frames(frames: Mapping[str, numpy.ndarray], alt: str, height: float = HEIGHT) -> None:
    """Draw frames side by side, by their titles; print the facts about each, and `alt`. `height`: of each, in inches.

    The description is printed since JupyterLab gives an image no alternative text; VS Code and nbconvert do.
    """
    from IPython.display import display

    display(Picture(draw(frames, height), alt))
    for title, pixels in frames.items():
        print(facts(pixels, title))
    print(f"Picture: {alt}")


def show_strip(film: numpy.ndarray, title: str, alt: str, columns: int = 6) -> None:
    """Draw the frames of a film side by side, small, with their numbers; print the facts about the film, and `alt`.

    `film`: (frames, rows, columns) or (frames, rows, columns, 3); `columns`: how many stand in a row.
    """
    from IPython.display import display

    frames = {str(number): frame for number, frame in enumerate(film, start=1)}
    display(Picture(draw(frames, SMALL, columns), alt))
    print(facts(film, title))
    print(f"Picture: {alt}")


def show_film(film: numpy.ndarray, title: str, alt: str, seconds: float = 0.15, times: int = 2) -> None:
    """Play a film; print the facts about it, and `alt`. Where nothing can move, its first frame is seen.

    `film`: (frames, rows, columns), or with 3 colours, of uint8. It is an animated PNG, which needs no widget and no
    script. It is played so many `times` and then stands still: nobody wants to read beside something that moves.
    """
    from IPython.display import display

    display(Picture(animated(film, seconds, times), alt))
    print(facts(film, title))
    print(f"Picture that moves: {alt}")


def show_slider(film: numpy.ndarray, title: str, alt: str) -> None:
    """One frame of a film at a time, and a slider that chooses it; print the facts about the film, and `alt`.

    `film`: (frames, rows, columns) of uint8, grey. The slider follows the mouse, a finger and the arrow keys. All frames
    are in the page: moving it asks no server and no kernel. Where a page may run nothing, as on GitHub, the first frame
    is seen. Raises FrameError for colour.
    """
    from IPython.display import display

    if film.ndim != 3 or film.dtype != numpy.uint8:
        raise FrameError("a slider takes grey frames of 8 bits: an array (frames, rows, columns) of uint8")
    display(Slider(film, alt))
    print(facts(film, title))
    print(f"Picture with a slider: {alt}")


# The frames stand side by side in one picture, seen through a window that is as wide as one of them.
MOVE_SLIDER = (
    "const film=this.closest('figure');film.querySelector('output').value=this.value;"
    "film.querySelector('img').style.marginLeft=(1-this.value)*100+'%'"
)


class Slider:
    """A film as HTML with a slider, off which JupyterLab's shortcuts are kept: arrow keys would go to the next cell."""

    def __init__(self, film: numpy.ndarray, alt: str) -> None:
        self.film = film
        self.alt = alt

    def __repr__(self) -> str:
        return f"[picture with a slider: {self.alt}]"

    def _repr_html_(self) -> str:
        count, rows, columns = self.film.shape
        width = columns * enlargement(self.film)
        strip = base64.b64encode(gif(numpy.concatenate(self.film, axis=1))).decode()
        return (
            f'<figure style="margin:0;width:{width}px"><div style="overflow:hidden">'
            f'<img alt="{escape(self.alt)}" src="data:image/gif;base64,{strip}" '
            f'style="display:block;max-width:none;width:{100 * count}%;image-rendering:pixelated"></div>'
            f'<label style="display:flex;gap:.5em">Frame <input type="range" min="1" max="{count}" value="1" '
            f'data-lm-suppress-shortcuts="true" oninput="{MOVE_SLIDER}" style="flex:1;min-width:0">'
            f'<span style="white-space:nowrap"><output>1</output> of {count}</span></label></figure>'
        )


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


def draw(frames: Mapping[str, numpy.ndarray], height: float = HEIGHT, columns: int = 0) -> bytes:
    """`frames` with their titles on white, as a PNG file that is the same on every run.

    height: of a frame, in inches. columns: how many in a row; all of them unless given.
    """
    # Imported here, since it takes a second: lessons without pictures start sooner. No pyplot, no figure left open.
    from matplotlib.figure import Figure

    columns = min(columns or len(frames), len(frames))
    rows = -(-len(frames) // columns)
    shapes = [pixels.shape for pixels in frames.values()]
    widths = [max(shape[1] / shape[0] for shape in shapes[column::columns]) * height for column in range(columns)]
    size = (sum(widths) + 0.2, (height + 0.3) * rows)
    figure = Figure(figsize=size, dpi=DOTS_PER_INCH, layout="constrained", facecolor="white")
    all_axes = figure.subplots(rows, columns, squeeze=False, width_ratios=widths).ravel()
    for axes in all_axes:
        axes.set_axis_off()
    for axes, (title, pixels) in zip(all_axes, frames.items()):
        # Where a pixel is larger than a dot, it is a square: nothing is drawn that is not in the samples.
        enlarged = pixels.shape[0] <= height * DOTS_PER_INCH
        smoothing = "nearest" if enlarged else "antialiased"
        axes.imshow(drawable(pixels), cmap="gray", interpolation=smoothing, **grey_range(pixels))
        axes.set_title(title, fontsize=9)
    png = io.BytesIO()
    figure.savefig(png, format="png", metadata={"Software": None})
    return png.getvalue()


def animated(film: numpy.ndarray, seconds: float, times: int) -> bytes:
    """`film` as an animated PNG file, about as high as other pictures."""
    from PIL import Image

    times_larger = enlargement(film)
    frames = [Image.fromarray(frame.repeat(times_larger, axis=0).repeat(times_larger, axis=1)) for frame in film]
    png = io.BytesIO()
    frames[0].save(png, "PNG", save_all=True, append_images=frames[1:], duration=round(1000 * seconds), loop=times)
    return png.getvalue()


def enlargement(film: numpy.ndarray) -> int:
    """How many dots of the screen a pixel is wide, so that frames are about as high as other pictures."""
    return max(1, int(HEIGHT * DOTS_PER_INCH) // film.shape[1])


def gif(pixels: numpy.ndarray) -> bytes:
    """Grey pixels as a GIF file, whose bytes are the same on every machine; those of a PNG file are not."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "GIF")
    return file.getvalue()


def drawable(pixels: numpy.ndarray) -> numpy.ndarray:
    """Colour with more than 8 bits scaled to 0…1, which is what matplotlib draws; the rest as it is."""
    if pixels.ndim == 3 and pixels.dtype != numpy.uint8:
        return pixels / numpy.iinfo(pixels.dtype).max
    return pixels


def grey_range(pixels: numpy.ndarray) -> dict[str, int]:
    """Black to white for 8 bits; other grey pictures are stretched from their darkest to their brightest pixel."""
    return {"vmin": 0, "vmax": 255} if pixels.dtype == numpy.uint8 else {}
