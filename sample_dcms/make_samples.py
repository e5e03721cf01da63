"""Make the three sample files of the course, and the table of what is in them.

They look like the files of Microsoft's tutorial to every DICOMweb request: same UIDs, attributes, size and colours.
The drawings are our own. Nobody was ever in front of a camera for them: the patient is invented.
The result is the same, byte for byte, on every machine: shapes are drawn in whole numbers, and no clock is read.
"""

import argparse
import csv
import io
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.multival import MultiValue
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage

FOLDER = Path(__file__).parent
TABLE_NAME = "dicom-metadata.csv"

UID_ROOT = "1.2.826.0.1.3680043.8.498."
STUDY_INSTANCE_UID = UID_ROOT + "13230779778012324449356534479549187420"

# Derived from a UUID (PS3.5 §B.2). The arc below it makes it 64 characters long, as long as the other UIDs here, so
# that the file meta group is 242 bytes long, as in the tutorial's files.
IMPLEMENTATION_CLASS_UID = "2.25.313135317617898750940771350260855038704.1000000000000000001"
IMPLEMENTATION_VERSION_NAME = "DICOMWEBCOURSE"

ROWS, COLUMNS = 979, 985
BACKGROUND = (195, 195, 195)

# A shape says for each pixel whether it is inside. It gets two arrays that broadcast against each other: twice the
# distance to the right of the centre, and twice the distance below it. Twice, as the centre may lie between pixels.
Shape = Callable[[numpy.ndarray, numpy.ndarray], numpy.ndarray]


def circle(right: numpy.ndarray, down: numpy.ndarray) -> numpy.ndarray:
    return right**2 + down**2 <= 720**2


def square(right: numpy.ndarray, down: numpy.ndarray) -> numpy.ndarray:
    return (abs(right) <= 640) & (abs(down) <= 640)


def triangle(right: numpy.ndarray, down: numpy.ndarray) -> numpy.ndarray:
    """Point up: from the point at -720 each side leaves the middle by half of the way down."""
    return (down <= 640) & (2 * abs(right) <= down + 720)


@dataclass(frozen=True)
class Sample:
    name: str
    sop_instance_uid: str
    series_instance_uid: str
    series_number: int
    instance_number: int
    shape: Shape
    colour: tuple[int, int, int]

    @property
    def file_name(self) -> str:
        return f"{self.name}.dcm"

    @property
    def comment(self) -> str:
        return f"Fake DICOM - {self.name.replace('-', ' ').title()}"


BLUE_CIRCLE_UID = UID_ROOT + "13273713909719068980354078852867170114"
GREEN_SQUARE_UID = UID_ROOT + "12714725698140337137334606354172323212"
RED_TRIANGLE_UID = UID_ROOT + "47359123102728459884412887463296905395"
BLUE_SERIES = UID_ROOT + "77033797676425927098669402985243398207"
GREEN_AND_RED_SERIES = UID_ROOT + "45787841905473114233124723359129632652"

SAMPLES = [
    Sample("blue-circle", BLUE_CIRCLE_UID, BLUE_SERIES, 2, 1, circle, (63, 72, 204)),
    Sample("green-square", GREEN_SQUARE_UID, GREEN_AND_RED_SERIES, 1, 2, square, (34, 177, 76)),
    Sample("red-triangle", RED_TRIANGLE_UID, GREEN_AND_RED_SERIES, 1, 1, triangle, (237, 28, 36)),
]


def draw(shape: Shape, colour: tuple[int, int, int]) -> numpy.ndarray:
    """The picture: uint8, (ROWS, COLUMNS, 3), two colours and nothing between them."""
    down = 2 * numpy.arange(ROWS)[:, None] - (ROWS - 1)
    right = 2 * numpy.arange(COLUMNS)[None, :] - (COLUMNS - 1)
    return numpy.where(shape(right, down)[:, :, None], colour, BACKGROUND).astype(numpy.uint8)


def data_set(sample: Sample) -> Dataset:
    """The 40 elements of one sample file, in the order of their tags."""
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.ImageType = ["DERIVED", "SECONDARY", "OTHER"]
    ds.SOPClassUID = SecondaryCaptureImageStorage
    ds.SOPInstanceUID = sample.sop_instance_uid
    ds.StudyDate = "20200922"
    ds.ContentDate = ""
    ds.AcquisitionDateTime = ""
    ds.StudyTime = "120000"
    ds.ContentTime = ""
    ds.AccessionNumber = ""
    ds.Modality = "OT"
    ds.ConversionType = "SYN"
    ds.ReferringPhysicianName = "Doctor Doc"
    ds.PatientName = "Anony Mous"
    ds.PatientID = "ID1"
    ds.PatientBirthDate = ""
    ds.PatientSex = "F"
    ds.PatientAge = "024Y"
    ds.PatientPosition = ""
    ds.StudyInstanceUID = STUDY_INSTANCE_UID
    ds.SeriesInstanceUID = sample.series_instance_uid
    ds.StudyID = "1"
    ds.SeriesNumber = sample.series_number
    ds.InstanceNumber = sample.instance_number
    ds.PatientOrientation = ""
    ds.Laterality = ""
    ds.ImageComments = sample.comment
    ds.SamplesPerPixel = 3
    ds.PhotometricInterpretation = "RGB"
    ds.PlanarConfiguration = 0
    ds.Rows = ROWS
    ds.Columns = COLUMNS
    ds.PixelSpacing = ["1.0", "1.0"]
    ds.BitsAllocated = 8
    ds.BitsStored = 8
    ds.HighBit = 7
    ds.PixelRepresentation = 0
    ds.add_new("SmallestImagePixelValue", "US", 0)
    ds.add_new("LargestImagePixelValue", "US", 255)
    pixels = draw(sample.shape, sample.colour).tobytes()
    # 979 × 985 × 3 is odd; a value has an even length, so one byte is added (PS3.5 §6.2, OB).
    ds.add_new("PixelData", "OB", pixels + b"\0" * (len(pixels) % 2))
    return ds


def file_meta(ds: Dataset) -> FileMetaDataset:
    """The file meta group, every element by hand, so that no version of pydicom changes a byte."""
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\0\1"
    meta.MediaStorageSOPClassUID = ds.SOPClassUID
    meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = IMPLEMENTATION_CLASS_UID
    meta.ImplementationVersionName = IMPLEMENTATION_VERSION_NAME
    return meta


def part10(ds: Dataset) -> bytes:
    """`ds` as the bytes of a DICOM file (PS3.10 §7.1)."""
    ds.file_meta = file_meta(ds)
    ds.preamble = b"\0" * 128
    buffer = io.BytesIO()
    dcmwrite(buffer, ds, enforce_file_format=True)
    return buffer.getvalue()


def table(data_sets: dict[str, Dataset]) -> bytes:
    """The CSV: one row a file, one column an attribute, pixels left out, several values joined with a backslash."""
    first = ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"]
    present = [element.keyword for element in next(iter(data_sets.values())) if element.keyword != "PixelData"]
    columns = first + [keyword for keyword in present if keyword not in first]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["FileName", *columns])
    for file_name, ds in data_sets.items():
        writer.writerow([file_name, *(as_text(ds[keyword].value) for keyword in columns)])
    return text.getvalue().encode()


def as_text(value: object) -> str:
    return "\\".join(map(str, value)) if isinstance(value, MultiValue) else str(value)


def make() -> dict[str, bytes]:
    """All files of this folder that are made: file name -> content."""
    data_sets = {sample.file_name: data_set(sample) for sample in SAMPLES}
    return {name: part10(ds) for name, ds in data_sets.items()} | {TABLE_NAME: table(data_sets)}


def differences(folder: Path) -> list[str]:
    """A sentence for each file in `folder` that is missing or not what would be made now."""
    found = []
    for name, content in make().items():
        path = folder / name
        if not path.is_file():
            found.append(f"{path} is missing")
        elif path.read_bytes() != content:
            found.append(f"{path} is not what make_samples.py makes")
    return found


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make_samples.py", description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=FOLDER, help="where to write; default: this folder")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a file differs or is missing")
    options = parser.parse_args(arguments)
    if options.check:
        found = differences(options.folder)
        print("\n".join(found) or f"the files in {options.folder} are what make_samples.py makes")
        return 1 if found else 0
    options.folder.mkdir(parents=True, exist_ok=True)
    for name, content in make().items():
        (options.folder / name).write_bytes(content)
        print(f"{name}: {len(content):,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
