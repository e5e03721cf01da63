"""Make synthetic DICOM files on demand: many small ones, broken ones, one film of any size.

Nothing here is real, nothing is downloaded, nothing is kept: lessons and tests make what they need in a folder of their
own. The same call writes the same bytes under the same UIDs on every machine. One function makes one kind of file; they
all start from `new_instance()` and end in `part10()`.

From a lesson or a test: `from helpers.samples import make_folder, make_film`. From a terminal:
`python sample_dcms/make_synthetic.py FOLDER --files 1000`.
"""

import argparse
import hashlib
import io
import sys
from collections.abc import Iterator
from pathlib import Path

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage

UID_ROOT = "1.2.826.0.1.3680043.8.498."  # pydicom's, free for everybody's own UIDs
MULTI_FRAME_BYTE = "1.2.840.10008.5.1.4.1.1.7.2"  # Multi-frame Grayscale Byte Secondary Capture Image Storage
IMPLEMENTATION_CLASS_UID = "2.25.313135317617898750940771350260855038704.1000000000000000002"
BROKEN = ("truncated", "not_dicom", "other_study", "duplicate", "no_patient_id")
FOLDER_OF_BROKEN = "study-1"


# ------------------------------------------------------------------------------------------------------------- basics


def synthetic_uid(*names: object) -> str:
    """A UID of 64 characters that is always the same for the same names.

    >>> synthetic_uid("seed", 15, "study", 1) == synthetic_uid("seed", 15, "study", 1)
    True
    >>> len(synthetic_uid("seed", 15, "study", 1))
    64
    """
    digest = hashlib.sha256("/".join(map(str, names)).encode()).digest()
    return f"{UID_ROOT}{10**37 + int.from_bytes(digest) % (9 * 10**37)}"


def study_uids(seed: int = 1, studies: int = 4) -> list[str]:
    """The StudyInstanceUIDs that make_folder gives its files."""
    return [synthetic_uid(seed, "study", number) for number in range(1, studies + 1)]


def new_instance(study_uid: str, series_uid: str, instance_uid: str, number: int = 1) -> Dataset:
    """A data set without pixels: every attribute that the service asks for, and an invented patient."""
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.SOPClassUID = SecondaryCaptureImageStorage
    ds.SOPInstanceUID = instance_uid
    ds.StudyDate, ds.StudyTime = "20200922", "120000"
    ds.AccessionNumber = ""
    ds.Modality = "OT"
    ds.ConversionType = "SYN"
    ds.ReferringPhysicianName = ""
    ds.PatientName = "Synthetic^Sam"
    ds.PatientID = "SYN-1"
    ds.PatientBirthDate = ""
    ds.PatientSex = "O"
    ds.StudyInstanceUID = study_uid
    ds.SeriesInstanceUID = series_uid
    ds.StudyID = "1"
    ds.SeriesNumber = 1
    ds.InstanceNumber = number
    return ds


def describe_grey(ds: Dataset, rows: int, columns: int, frames: int | None = None) -> None:
    """Say of the pixels that they are grey, one byte each."""
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    if frames is not None:
        ds.NumberOfFrames = frames
        ds.FrameIncrementPointer = 0x00181063  # FrameTime, in milliseconds
        ds.FrameTime = 40
    ds.Rows, ds.Columns = rows, columns
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 8, 8, 7, 0


def part10(
    ds: Dataset, transfer_syntax: str = ExplicitVRLittleEndian, implementation: str = IMPLEMENTATION_CLASS_UID
) -> bytes:
    """`ds` as the bytes of a DICOM file (PS3.10 §7.1); pydicom fills in what the data set says itself."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = transfer_syntax
    meta.ImplementationClassUID = implementation
    meta.ImplementationVersionName = "DICOMWEBCOURSE"
    ds.file_meta = meta
    buffer = io.BytesIO()
    dcmwrite(buffer, ds, enforce_file_format=True)
    return buffer.getvalue()


# -------------------------------------------------------------------------------------------- kinds of pictures


def grey_instance(study_uid: str, series_uid: str, instance_uid: str, number: int = 1, side: int = 32) -> bytes:
    """A small grey picture, `side` by `side`: a slope whose brightness begins at `number`."""
    ds = new_instance(study_uid, series_uid, instance_uid, number)
    describe_grey(ds, side, side)
    line = bytes(range(256)) * (2 + side // 128)
    pixels = b"".join(line[(number + row) % 256 :][:side] for row in range(side))
    ds.add_new("PixelData", "OB", pixels + b"\0" * (len(pixels) % 2))
    return part10(ds)


# ----------------------------------------------------------------------------------------------------- broken ones


def truncated(content: bytes) -> bytes:
    """A file whose end is missing, as after a broken copy."""
    return content[: len(content) * 2 // 3]


def not_dicom() -> bytes:
    """A file that calls itself .dcm and is a text."""
    return b"These are notes about the study. Somebody gave them a wrong name.\n"


def without_patient_id(study_uid: str, series_uid: str, instance_uid: str) -> bytes:
    """A file that lacks PatientID, which the service asks for."""
    ds = new_instance(study_uid, series_uid, instance_uid)
    del ds.PatientID
    return part10(ds)


def broken_file(kind: str, seed: int, study_uid: str, series_uid: str) -> bytes:
    """One file of the kinds in BROKEN. A duplicate is the same as the first file of make_folder."""
    instance_uid = synthetic_uid(seed, "broken", kind)
    if kind == "truncated":
        return truncated(grey_instance(study_uid, series_uid, instance_uid))
    if kind == "not_dicom":
        return not_dicom()
    if kind == "other_study":
        return grey_instance(synthetic_uid(seed, "other study"), synthetic_uid(seed, "other series"), instance_uid)
    if kind == "duplicate":
        return next(small_files(1, seed, 1, 1))[1]
    if kind == "no_patient_id":
        return without_patient_id(study_uid, series_uid, instance_uid)
    raise ValueError(f"there is no kind {kind!r}; there are {', '.join(BROKEN)}")


# ------------------------------------------------------------------------------------------------- folders, films


def small_files(files: int, seed: int, studies: int, series: int, side: int = 32) -> Iterator[tuple[str, bytes]]:
    """(name, content) of small valid files, dealt out over `studies` of `series` series each."""
    for number in range(files):
        study = number % studies + 1
        one = number // studies % series + 1
        yield (
            f"study-{study}/series-{one}/{number + 1:05}.dcm",
            grey_instance(
                synthetic_uid(seed, "study", study),
                synthetic_uid(seed, "series", study, one),
                synthetic_uid(seed, "instance", number),
                number,
                side,
            ),
        )


def make_folder(
    folder: str | Path,
    files: int = 1000,
    seed: int = 1,
    studies: int = 4,
    series: int = 2,
    side: int = 32,
    broken: tuple[str, ...] | list[str] = (),
) -> list[Path]:
    """Write `files` small valid files below `folder`, and one file for each kind in `broken`; return all paths, sorted.

    The good ones lie in study-1/series-1/00001.dcm and so on, `studies` studies of `series` series; study_uids(seed,
    studies) gives their UIDs. A picture has `side` by `side` pixels of one byte. The broken ones lie in
    study-1/broken-KIND.dcm and would belong to the first series, but for what is wrong with them:

    truncated: the end is missing · not_dicom: a text file · other_study: a study of its own (an error only where one
    study is insisted on) · duplicate: the same instance as 00001.dcm · no_patient_id: lacks PatientID.
    """
    folder = Path(folder)
    contents = dict(small_files(files, seed, studies, series, side))
    for kind in broken:
        content = broken_file(kind, seed, synthetic_uid(seed, "study", 1), synthetic_uid(seed, "series", 1, 1))
        contents[f"{FOLDER_OF_BROKEN}/broken-{kind.replace('_', '-')}.dcm"] = content
    for name, content in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return sorted(folder / name for name in contents)


def make_film(path: str | Path, megabytes: int = 100, seed: int = 1, number: int = 1, side: int = 1024) -> str:
    """Write one instance with many frames of `side` by `side` bytes, about `megabytes` (of 10**6) long.

    Returns the StudyInstanceUID, which is the same for all films of a seed: call it with number=1, 2, … for a study
    of several. Takes no time and no memory: only a bright line in each frame is written, with its number as
    brightness; what lies between is a hole in the file, read as zeros, where the disk knows holes.
    """
    frame = side * side
    frames = max(1, megabytes * 10**6 // frame)
    size = frames * frame + frames * frame % 2
    if size >= 2**32 - 1:
        raise ValueError(f"{megabytes} MB do not fit into one instance: its pixels end before 4,294 MB")
    study_uid = synthetic_uid(seed, "film study")
    ds = new_instance(study_uid, synthetic_uid(seed, "film series"), synthetic_uid(seed, "film", number), number)
    ds.SOPClassUID = MULTI_FRAME_BYTE
    describe_grey(ds, side, side, frames)
    header = part10(ds) + b"\xe0\x7f\x10\x00OB\0\0" + size.to_bytes(4, "little")  # (7FE0,0010), the last element
    with Path(path).open("wb") as file:
        file.write(header)
        for number_of_frame in range(frames):
            file.seek(len(header) + number_of_frame * frame)
            file.write(bytes([number_of_frame % 255 + 1]) * side)
        file.truncate(len(header) + size)
    return study_uid


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make_synthetic.py", description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where to write; made if it is not there")
    parser.add_argument("--files", type=int, default=1000, help="how many small files (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="another number gives other UIDs (default: %(default)s)")
    parser.add_argument("--broken", nargs="*", default=[], choices=BROKEN, help="one broken file of each kind named")
    parser.add_argument("--film", type=int, metavar="MB", help="write a film of so many megabytes as well")
    options = parser.parse_args(arguments)
    paths = make_folder(options.folder, options.files, options.seed, broken=options.broken)
    print(f"{len(paths)} files below {options.folder}")
    if options.film:
        make_film(options.folder / "film.dcm", options.film, options.seed)
        print(f"film.dcm: {(options.folder / 'film.dcm').stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
