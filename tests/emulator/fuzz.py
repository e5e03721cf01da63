"""Fuzzing by hand, guided by what code an input reaches (https://github.com/google/atheris). See CONTRIBUTING.

python -m tests.emulator.fuzz part10 -max_total_time=300 FOLDER

FOLDER keeps what was found to reach new code. An input that crashes is written to the working directory; a test is
made of it.
"""

import contextlib
import json
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any


def part10_target(folder: Path) -> Callable[[bytes], Any]:
    """Reading, checking, metadata and frame map, as a store does them."""
    from dicom_emulator.dicom import dicom_json, frames, part10
    from dicom_emulator.dicom.validation import validate

    path = folder / "file"

    def target(data: bytes) -> None:
        path.write_bytes(data)
        try:
            file = part10.read(path)
        except part10.NotDicom:
            return
        for strict in (False, True):
            verdict = validate(file, None, strict)
            metadata = dicom_json.to_json(file, without=verdict.dropped)
            json.loads(metadata.encode("utf-8"), parse_constant=refuse)
        with contextlib.suppress(part10.NotDicom):
            frames.from_text(frames.to_text(frames.locate(path, file)))

    return target


def transcode_target(folder: Path) -> Callable[[bytes], Any]:
    """Writing a file that can be read in Explicit VR Little Endian; no codecs, which are not ours."""
    from dicom_emulator.dicom import part10, transcode

    path = folder / "file"

    def target(data: bytes) -> None:
        path.write_bytes(data)
        try:
            file = part10.read(path)
            if file.transfer_syntax in transcode.UNCOMPRESSED:
                transcode.transcode_file(path, file.transfer_syntax, "1.2.840.10008.1.2.1")
        except (part10.NotDicom, transcode.CannotTranscode):
            pass

    return target


def multipart_target(folder: Path) -> Callable[[bytes], Any]:
    """The emulator's reader and that of the helpers, which have to be of one mind about what is a part."""
    from itertools import count

    from dicom_emulator.wire.multipart import Malformed, PartSpooler, WrongPartType
    from helpers.multipart import MultipartError, split_parts

    numbers = count()

    def target(data: bytes) -> None:
        spooler = PartSpooler("b", "a/b", "a/b", lambda: folder / str(next(numbers)), 2**20)
        try:
            for start in range(0, len(data), 16):
                spooler.feed(data[start : start + 16])
            spooler.finish()
        except (Malformed, WrongPartType):
            pass
        for part in spooler.parts:
            part.close()
            if part.path:
                part.path.unlink()
        try:
            [part.content for part in split_parts(iter([data[:7], data[7:]]), "b")]
        except MultipartError:
            pass

    return target


def dicom_json_target(folder: Path) -> Callable[[bytes], Any]:
    """The body of a work item, read and written again."""
    from dicom_emulator.dicom import json_data_set
    from dicom_emulator.wire import json_body

    def target(data: bytes) -> None:
        try:
            found = json_data_set.read(json_body.parse_json(data, exact=True))
        except (json_body.Malformed, json_data_set.Malformed):
            return
        for data_set in found:
            written = json_data_set.write(data_set)
            again = json_data_set.write(json_data_set.load(written))
            assert json_data_set.load(again) == json_data_set.load(written)

    return target


def accept_target(folder: Path) -> Callable[[bytes], Any]:
    """The choice by an Accept header."""
    from dicom_emulator.api.retrieve import FRAMES, INSTANCE
    from dicom_emulator.wire.accept import accepts_dicom_json, choose

    def target(data: bytes) -> None:
        header = data.decode("latin-1")
        accepts_dicom_json(header)
        choose(header, INSTANCE)
        choose(header, FRAMES)

    return target


def refuse(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


TARGETS = {
    "part10": part10_target,
    "transcode": transcode_target,
    "multipart": multipart_target,
    "dicom-json": dicom_json_target,
    "accept": accept_target,
}


def main() -> None:
    import atheris  # in no list of requirements: it has no wheels for each Python that the tests run on

    warnings.simplefilter("ignore")
    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        raise SystemExit(f"what to fuzz: {', '.join(TARGETS)}")
    name = sys.argv.pop(1)
    with tempfile.TemporaryDirectory() as folder:
        with atheris.instrument_imports(include=["dicom_emulator", "helpers", "pydicom", "python_multipart", "json"]):
            target = TARGETS[name](Path(folder))
        atheris.Setup(sys.argv, target)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
