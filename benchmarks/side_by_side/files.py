"""DICOM files made up for the benchmarks, and request bodies of them whose UIDs are new each time."""

import secrets
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from sample_dcms.make_synthetic import UID_ROOT, new_instance, part10, synthetic_uid  # noqa: E402

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
MULTI_FRAME_WORD = "1.2.840.10008.5.1.4.1.1.7.3"
BOUNDARY = "benchmark-boundary"
CONTENT_TYPE = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'
FRAME = 512 * 512 * 2  # bytes

DATE = "20200922"
STUDY_DATE = b"\x08\x00\x20\x00DA\x08\x00"  # (0008,0020) in explicit VR little endian; eight bytes of date follow

# UIDs of 64 characters that stand in a template until they are replaced.
STUDY, SERIES, INSTANCE = (synthetic_uid("benchmark", level).encode() for level in ("study", "series", "instance"))


def fresh_uid() -> str:
    """As long as every other one, so that it can take the place of another in a file."""
    return f"{UID_ROOT}{10**37 + secrets.randbelow(9 * 10**37)}"


@dataclass(frozen=True)
class Uids:
    study: str
    series: str
    instance: str


def series_of(count: int) -> list[Uids]:
    """New UIDs for the instances of one new series of one new study."""
    study, series = fresh_uid(), fresh_uid()
    return [Uids(study, series, fresh_uid()) for _ in range(count)]


def template(ds: Dataset) -> bytes:
    content = part10(ds)
    assert content.count(INSTANCE) == 2 and content.count(STUDY) == content.count(SERIES) == 1
    return content


def filled(content: bytes, uids: Uids) -> bytes:
    """The template with these UIDs."""
    return (
        content.replace(STUDY, uids.study.encode())
        .replace(SERIES, uids.series.encode())
        .replace(INSTANCE, uids.instance.encode())
    )


def empty(number: int = 1) -> Dataset:
    return new_instance(STUDY.decode(), SERIES.decode(), INSTANCE.decode(), number)


def with_pixels(ds: Dataset, rows: int, columns: int, pixels: bytes) -> Dataset:
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows, ds.Columns = rows, columns
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    ds.add_new("PixelData", "OW", pixels)
    return ds


def small_image(side: int = 26) -> bytes:
    """2.2 KB: few elements, few pixels."""
    return template(with_pixels(empty(), side, side, secrets.token_bytes(side * side * 2)))


def ct_image() -> bytes:
    """0.5 MB: a slice as a scanner makes it, 512 by 512."""
    return template(with_pixels(described(), 512, 512, secrets.token_bytes(FRAME)))


def film(frames: int) -> bytes:
    """Frames of 0.5 MB, each of its own; 400 of them are 210 MB."""
    ds = described()
    ds.SOPClassUID = MULTI_FRAME_WORD
    ds.NumberOfFrames = frames
    frame = secrets.token_bytes(FRAME - 2)
    pixels = b"".join(number.to_bytes(2, "little") + frame for number in range(frames))
    return template(with_pixels(ds, 512, 512, pixels))


def rich_image(side: int = 28) -> bytes:
    """A small image with a header of 100 elements, four of them sequences, as scanners write them."""
    ds = described()
    ds.AcquisitionDate, ds.ContentDate, ds.SeriesDate = "20200922", "20200922", "20200922"
    ds.AcquisitionTime, ds.ContentTime, ds.SeriesTime = "120001.5", "120002.5", "120000.5"
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL", "CT_SOM5 SPI"]
    ds.InstitutionName, ds.InstitutionalDepartmentName = "Hospital of Nowhere", "Radiology"
    ds.InstitutionAddress = "1 Long Street, Nowhere"
    ds.StationName, ds.ManufacturerModelName = "CT-1", "Imaginary 64"
    ds.PerformingPhysicianName, ds.OperatorsName = "Nobody^Nora", "Nobody^Ned"
    ds.PatientAge, ds.PatientSize, ds.PatientWeight = "050Y", "1.75", "75"
    ds.EthnicGroup, ds.Occupation, ds.SmokingStatus = "None", "Invented", "NO"
    ds.BodyPartExamined, ds.ProtocolName, ds.ScanOptions = "CHEST", "Thorax routine", "HELICAL"
    ds.DeviceSerialNumber, ds.SoftwareVersions = "123456", ["1.0", "2.0"]
    ds.ReconstructionDiameter, ds.DistanceSourceToDetector, ds.DistanceSourceToPatient = "350", "1040", "570"
    ds.FilterType, ds.FocalSpots, ds.GeneratorPower = "0", "1.2", "25"
    ds.TableHeight, ds.RotationDirection = "150", "CW"
    ds.AcquisitionType, ds.SingleCollimationWidth, ds.TotalCollimationWidth = "SPIRAL", 0.6, 38.4
    ds.AcquisitionNumber, ds.TemporalPositionIdentifier, ds.NumberOfTemporalPositions = 1, 1, 1
    ds.SmallestImagePixelValue, ds.LargestImagePixelValue = 0, 4095
    ds.BurnedInAnnotation, ds.LossyImageCompression = "NO", "00"
    ds.PerformedProcedureStepStartDate, ds.PerformedProcedureStepStartTime = "20200922", "115900"
    ds.PerformedProcedureStepID, ds.PerformedProcedureStepDescription = "PPS1", "CT of the chest"
    ds.RequestedProcedureID, ds.ReasonForTheRequestedProcedure = "RP1", "Example"
    ds.ProcedureCodeSequence = Sequence([code("24627-2", "CT Chest")])
    ds.AnatomicRegionSequence = Sequence([code("51185008", "Chest")])
    ds.ReferencedStudySequence = Sequence([reference()])
    ds.RequestAttributesSequence = Sequence([request()])
    return template(with_pixels(ds, side, side, secrets.token_bytes(side * side * 2)))


def described() -> Dataset:
    """About 45 elements: what each CT image has."""
    ds = empty()
    ds.SOPClassUID, ds.Modality = CT_IMAGE, "CT"
    del ds.ConversionType
    ds.AccessionNumber = "A1234567"
    ds.Manufacturer = "Nobody"
    ds.StudyDescription, ds.SeriesDescription = "CT of the chest", "Axial 1.0"
    ds.PatientBirthDate = "19700101"
    ds.SliceThickness, ds.KVP, ds.XRayTubeCurrent, ds.ExposureTime, ds.Exposure = "1.0", "120", "200", "500", "100"
    ds.ConvolutionKernel, ds.PatientPosition, ds.GantryDetectorTilt = "B30f", "HFS", "0"
    ds.FrameOfReferenceUID = synthetic_uid("benchmark", "frame of reference")
    ds.ImagePositionPatient, ds.ImageOrientationPatient = ["-175", "-175", "100"], ["1", "0", "0", "0", "1", "0"]
    ds.SliceLocation, ds.PixelSpacing = "100", ["0.68", "0.68"]
    ds.WindowCenter, ds.WindowWidth = ["40", "-600"], ["400", "1200"]
    ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = "-1024", "1", "HU"
    return ds


def code(value: str, meaning: str) -> Dataset:
    ds = Dataset()
    ds.CodeValue, ds.CodingSchemeDesignator, ds.CodeMeaning = value, "LN", meaning
    return ds


def reference() -> Dataset:
    ds = Dataset()
    ds.ReferencedSOPClassUID, ds.ReferencedSOPInstanceUID = CT_IMAGE, synthetic_uid("benchmark", "reference")
    return ds


def request() -> Dataset:
    ds = Dataset()
    ds.RequestedProcedureID, ds.ScheduledProcedureStepID = "RP1", "SPS1"
    ds.ScheduledProcedureStepDescription = "CT of the chest"
    ds.ScheduledProtocolCodeSequence = Sequence([code("24627-2", "CT Chest")])
    return ds


# -------------------------------------------------------------------------------------------------- request bodies


class Upload:
    """The body of a store request with `count` copies of one file, all of one series, whose UIDs are new each time."""

    def __init__(self, content: bytes, count: int = 1):
        part = f"--{BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode() + content + b"\r\n"
        self.body = bytearray(part * count + f"--{BOUNDARY}--\r\n".encode())
        begins = range(0, count * len(part), len(part))
        self.instances = [tuple(begin + place for place in places(part, INSTANCE)) for begin in begins]
        self.studies = [begin + place for begin in begins for place in places(part, STUDY)]
        self.series = [begin + place for begin in begins for place in places(part, SERIES)]
        self.dates = [begin + part.index(STUDY_DATE) + len(STUDY_DATE) for begin in begins]

    def renew(self) -> None:
        """Put new UIDs into the body."""
        self.name(series_of(len(self.instances)))

    def name(self, uids: list[Uids], date: str = DATE) -> None:
        """Put these UIDs into the body, and this StudyDate."""
        self.write(self.dates, date)
        self.write(self.studies, uids[0].study)
        self.write(self.series, uids[0].series)
        for one, found in zip(uids, self.instances, strict=True):
            self.write(found, one.instance)

    def write(self, found: Iterable[int], text: str) -> None:
        for place in found:
            self.body[place : place + len(text)] = text.encode()


def places(content: bytes, text: bytes) -> Iterator[int]:
    place = content.find(text)
    while place >= 0:
        yield place
        place = content.find(text, place + 1)


def data_set(content: bytes) -> bytes:
    """A file without what a server may write anew: preamble and file meta information (PS3.10 §7.1)."""
    length = int.from_bytes(content[140:144], "little")
    return content[144 + length :]


def frame(content: bytes, number: int) -> bytes:
    """A frame of 0.5 MB of a film, counted from 0; the pixels are the end of the file."""
    ends = len(content)
    pixels = ends - (ends // FRAME) * FRAME
    return content[pixels + number * FRAME :][:FRAME]
