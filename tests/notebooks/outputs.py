"""What a cell printed before, against what it prints now: text must be equal, pictures nearly so."""

import base64
import io

import numpy
from nbformat import NotebookNode
from PIL import Image

from tests.notebooks.store import joined

# Mean difference of a channel, of 255. Another font library moves the edges of letters; another picture is far above.
TOLERANCE = 2.0


def differences(stored: list[NotebookNode], new: list[NotebookNode]) -> list[str]:
    """A sentence for each way in which the outputs `new` of a cell are not its `stored` ones."""
    found = image_differences(stored, new)
    before, now = text_of(stored), text_of(new)
    if before != now:
        found.append(f"stored: {before}\nnow:    {now}")
    return found


def text_of(outputs: list[NotebookNode]) -> list[object]:
    """All that a cell showed, but for pixels and traceback: streams, texts, the kind of each picture, errors."""
    return [visible(output) for output in joined(outputs)]


def visible(output: NotebookNode) -> object:
    if output.output_type == "stream":
        return output["name"], output.text
    if output.output_type == "error":
        return output.ename, output.evalue
    return {kind: None if kind == "image/png" else content for kind, content in output.data.items()}


def png_images(outputs: list[NotebookNode]) -> list[bytes]:
    return [
        base64.b64decode(output["data"]["image/png"]) for output in outputs if "image/png" in output.get("data", {})
    ]


def image_differences(stored: list[NotebookNode], new: list[NotebookNode]) -> list[str]:
    """A sentence for each PNG picture among the outputs `new` that is not the stored one."""
    before, now = png_images(stored), png_images(new)
    if len(before) != len(now):
        return [f"{len(before)} pictures are stored, {len(now)} came now"]
    return [sentence for pair in zip(before, now) for sentence in unequal(*pair)]


def unequal(stored: bytes, new: bytes) -> list[str]:
    before, now = (numpy.asarray(Image.open(io.BytesIO(png)).convert("RGB"), float) for png in (stored, new))
    if before.shape != now.shape:
        return [f"a picture was {before.shape[1]}×{before.shape[0]}, now it is {now.shape[1]}×{now.shape[0]}"]
    distance = numpy.abs(before - now).mean()
    return [f"a picture differs by {distance:.1f} of 255 on average"] if distance > TOLERANCE else []
