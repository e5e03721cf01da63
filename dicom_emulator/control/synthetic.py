"""The built-in set of instances: patients who never lived, and pictures of nobody. The same bytes each time.

It has what clients stumble over: several series in a study, several frames in an instance, signed samples with a
rescale and two windows, colour, a palette, inverted grey, compressed pixels, names in other scripts, and a file without
pixels.
"""

import io
import uuid
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import (
    BasicTextSRStorage,
    ComputedRadiographyImageStorage,
    CTImageStorage,
    DigitalMammographyXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    MRImageStorage,
    OphthalmicPhotography8BitImageStorage,
    RLELossless,
    SecondaryCaptureImageStorage,
    UltrasoundMultiFrameImageStorage,
    XRayAngiographicImageStorage,
)

from dicom_emulator.control import phantoms

CT_SIZE, MR_SIZE = 192, 160
ADA = {"PatientName": "Sample^Ada", "PatientID": "SAMPLE-1", "PatientBirthDate": "19750314", "PatientSex": "F"}
BRUNO = {"PatientName": "Sample^Bruno", "PatientID": "SAMPLE-2", "PatientBirthDate": "19621102", "PatientSex": "M"}
CHIYO = {
    "PatientName": "Sample^Chiyo=見本^千代=みほん^ちよ",
    "PatientID": "SAMPLE-3",
    "PatientBirthDate": "19880629",
    "PatientSex": "F",
}
ZOE = {"PatientName": "Sample^Zoë", "PatientID": "SAMPLE-4", "PatientBirthDate": "20121224", "PatientSex": "F"}
LUKASZ = {"PatientName": "Sample^Łukasz", "PatientID": "SAMPLE-5", "PatientBirthDate": "19490501", "PatientSex": "M"}
YANNIS = {"PatientName": "Sample^Γιάννης", "PatientID": "SAMPLE-6", "PatientBirthDate": "19700817", "PatientSex": "O"}
T1 = {"fat": 0.95, "white": 0.7, "grey": 0.48, "fluid": 0.12}
T2 = {"fat": 0.6, "white": 0.35, "grey": 0.52, "fluid": 0.97}


@cache
def instances() -> tuple[tuple[str, bytes], ...]:
    """(name, Part 10 file) of each, patient by patient."""
    makers = (chest_ct, follow_up, head_mr, heart_clip, hand, angiogram, retinas, heat_map, mammograms)
    return tuple((name, part10(data_set)) for make in makers for name, data_set in make())


def uid(*names: object) -> str:
    """The UID of the study, series or instance of this name, always the same (PS3.5 annex B.2).

    >>> uid("chest") == uid("chest") != uid("head")
    True
    """
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_URL, 'dicom-emulator/' + '/'.join(map(str, names))).int}"


def part10(data_set: Dataset) -> bytes:
    buffer = io.BytesIO()
    dcmwrite(buffer, data_set, enforce_file_format=True)
    return buffer.getvalue()


def study(name: str, patient: dict[str, str], date: str, description: str, **attributes: Any) -> dict[str, Any]:
    """The attributes that all instances of a study share. `date`: YYYYMMDDHHMM."""
    return patient | {
        "StudyInstanceUID": uid(name),
        "StudyID": "1",
        "StudyDate": date[:8],
        "StudyTime": f"{date[8:]}00",
        "AccessionNumber": f"A{date[:8]}",
        "StudyDescription": description,
        "ReferringPhysicianName": "Referrer^Rosa",
        **attributes,
    }


def instance(shared: dict[str, Any], series: int, number: int, sop_class: str, **attributes: Any) -> Dataset:
    """An instance without pixels, the `number`th of a series; both count from 1."""
    data_set = Dataset()
    data_set.SpecificCharacterSet = "ISO_IR 192"
    data_set.SOPClassUID = sop_class
    data_set.SOPInstanceUID = uid(shared["StudyInstanceUID"], series, number)
    data_set.SeriesInstanceUID = uid(shared["StudyInstanceUID"], series)
    described = {
        "SeriesNumber": series,
        "InstanceNumber": number,
        "Manufacturer": "Synthetic",
        "ManufacturerModelName": "Phantom 1",
        "SoftwareVersions": "1",
        "ContentDate": shared["StudyDate"],
        "ContentTime": shared["StudyTime"],
        "SeriesDate": shared["StudyDate"],
        "SeriesTime": shared["StudyTime"],
        "PerformedProcedureStepStartDate": shared["StudyDate"],
        "InstitutionName": "Nowhere General",
    }
    for keyword, value in (shared | described | attributes).items():
        setattr(data_set, keyword, value)
    data_set.file_meta = FileMetaDataset()
    data_set.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data_set.file_meta.ImplementationClassUID = uid("implementation")
    data_set.file_meta.ImplementationVersionName = "DICOM_EMULATOR"
    return data_set


def with_pixels(data_set: Dataset, pixels: numpy.ndarray, stored: int, **attributes: Any) -> Dataset:
    """With the samples (rows, columns), (rows, columns, 3), or the same with frames before them.

    stored: bits of each sample that count.
    """
    colour = pixels.shape[-1] == 3
    frames = pixels.ndim - colour == 3
    bits = 8 * pixels.dtype.itemsize
    data_set.SamplesPerPixel = 3 if colour else 1
    data_set.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    if colour:
        data_set.PlanarConfiguration = 0
    if frames:
        data_set.NumberOfFrames = len(pixels)
    data_set.Rows, data_set.Columns = pixels.shape[frames : frames + 2]
    data_set.BitsAllocated, data_set.BitsStored, data_set.HighBit = bits, stored, stored - 1
    data_set.PixelRepresentation = int(pixels.dtype.kind == "i")
    data_set.PixelData = numpy.ascontiguousarray(pixels).tobytes()
    data_set["PixelData"].VR = "OW" if bits > 8 else "OB"
    for keyword, value in attributes.items():
        setattr(data_set, keyword, value)
    return data_set


def compressed(data_set: Dataset, syntax: str) -> Dataset:
    plugin = "pydicom" if syntax == RLELossless else "pylibjpeg"
    data_set.compress(syntax, encoding_plugin=plugin, generate_instance_uid=False)
    return data_set


def to_range(picture: numpy.ndarray, most: int) -> numpy.ndarray:
    """0 to 1 becomes 0 to `most`."""
    return numpy.round(picture.clip(0, 1) * most).astype("<u2" if most > 255 else "u1")


Made = Iterator[tuple[str, Dataset]]


def ct_slices(name: str, shared: dict[str, Any], series: int, count: int, lesion: float) -> Made:
    """An axial series from the neck to the belly. Sample = Hounsfield unit + 1024."""
    step = 320 / count  # mm
    for number in range(1, count + 1):
        z = 2 * (number - 0.5) / count - 1
        picture = phantoms.chest_ct(CT_SIZE, 0.9 * z, number)
        if (reach := lesion**2 - (0.5 * (z + 0.1)) ** 2) > 0:
            picture = phantoms.lesion(picture, reach**0.5)
        slice = instance(
            shared,
            series,
            number,
            CTImageStorage,
            Modality="CT",
            SeriesDescription="Axial",
            BodyPartExamined="CHEST",
            ImageType=["ORIGINAL", "PRIMARY", "AXIAL"],
            KVP="120",
            FrameOfReferenceUID=uid(name, "frame"),
            PositionReferenceIndicator="",
            PatientPosition="HFS",
            ImageOrientationPatient=["1", "0", "0", "0", "1", "0"],
            ImagePositionPatient=["-200", "-200", f"{-step * number:.1f}"],
            SliceLocation=f"{-step * number:.1f}",
            SliceThickness=f"{step:.1f}",
            PixelSpacing=[f"{400 / CT_SIZE:.4f}"] * 2,
        )
        samples = numpy.round(picture + 1024).clip(0, 4095).astype("<i2")
        yield (
            f"{name}-{number}",
            with_pixels(
                slice,
                samples,
                16,
                RescaleIntercept="-1024",
                RescaleSlope="1",
                RescaleType="HU",
                WindowCenter=["40", "-600"],
                WindowWidth=["400", "1500"],
                WindowCenterWidthExplanation=["SOFT TISSUE", "LUNG"],
            ),
        )


def chest_ct() -> Made:
    shared = study("chest-ct", ADA, "202403051015", "CT chest", PatientAge="048Y")
    slices = list(ct_slices("chest-ct", shared, 2, 16, 0.09))
    yield from slices
    yield "report", report(shared, [data_set for _, data_set in slices[6:8]])


def follow_up() -> Made:
    shared = study("chest-ct-follow-up", ADA, "202502201440", "CT chest, follow-up", PatientAge="049Y")
    yield from ct_slices("chest-ct-follow-up", shared, 1, 8, 0.16)


def report(shared: dict[str, Any], evidence: list[Dataset]) -> Dataset:
    """A structured report about some images of its study (PS3.3 A.35.1): text, and no pixels."""
    findings = [
        ("121071", "Finding", "A round spot in the right lung, drawn by a program."),
        ("121077", "Conclusion", "This patient never lived. Come back next year."),
    ]
    reference = Dataset()
    reference.StudyInstanceUID = shared["StudyInstanceUID"]
    series = Dataset()
    series.SeriesInstanceUID = evidence[0].SeriesInstanceUID
    series.ReferencedSOPSequence = [sop_reference(image) for image in evidence]
    reference.ReferencedSeriesSequence = [series]
    return instance(
        shared,
        3,
        1,
        BasicTextSRStorage,
        Modality="SR",
        SeriesDescription="Report",
        CompletionFlag="COMPLETE",
        VerificationFlag="UNVERIFIED",
        ReferencedPerformedProcedureStepSequence=[],
        PerformedProcedureCodeSequence=[],
        CurrentRequestedProcedureEvidenceSequence=[reference],
        ValueType="CONTAINER",
        ConceptNameCodeSequence=[coded("18748-4", "LN", "Diagnostic Imaging Report")],
        ContinuityOfContent="SEPARATE",
        ContentSequence=[text_item(*finding) for finding in findings],
    )


def sop_reference(image: Dataset) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = image.SOPClassUID, image.SOPInstanceUID
    return item


def coded(value: str, scheme: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def text_item(code: str, meaning: str, text: str) -> Dataset:
    item = Dataset()
    item.RelationshipType, item.ValueType, item.TextValue = "CONTAINS", "TEXT", text
    item.ConceptNameCodeSequence = [coded(code, "DCM", meaning)]
    return item


def head_mr() -> Made:
    """Two series of the same head, in which fluid is dark (T1) and bright (T2)."""
    shared = study("head-mr", BRUNO, "202306140805", "MR head", PatientAge="060Y")
    for series, (name, weights, echo) in enumerate([("T1", T1, "12"), ("T2", T2, "98")], 1):
        for number in range(1, 8):
            picture = phantoms.head_mr(MR_SIZE, (number - 4) / 4, weights, 10 * series + number)
            slice = instance(
                shared,
                series,
                number,
                MRImageStorage,
                Modality="MR",
                SeriesDescription=f"{name} axial",
                BodyPartExamined="HEAD",
                ImageType=["ORIGINAL", "PRIMARY", "M", "SE"],
                ScanningSequence="SE",
                SequenceVariant="NONE",
                ScanOptions="",
                MRAcquisitionType="2D",
                RepetitionTime="500" if name == "T1" else "4000",
                EchoTime=echo,
                EchoTrainLength="1",
                MagneticFieldStrength="1.5",
                FrameOfReferenceUID=uid("head-mr", "frame"),
                PositionReferenceIndicator="",
                PatientPosition="HFS",
                ImageOrientationPatient=["1", "0", "0", "0", "1", "0"],
                ImagePositionPatient=["-110", "-110", str(18 * (number - 4))],
                SliceThickness="5",
                SpacingBetweenSlices="18",
                PixelSpacing=[f"{220 / MR_SIZE:.4f}"] * 2,
            )
            yield (
                f"head-mr-{name.lower()}-{number}",
                with_pixels(slice, to_range(picture, 4095), 12, WindowCenter="2048", WindowWidth="4096"),
            )


def heart_clip() -> Made:
    """A beating heart in colour: twelve frames, RGB."""
    shared = study("heart-us", CHIYO, "202209221620", "US heart 心臓", PatientAge="034Y")
    frames = numpy.stack([phantoms.ultrasound(120, 160, phase / 12, 40 + phase) for phase in range(12)])
    clip = instance(
        shared,
        1,
        1,
        UltrasoundMultiFrameImageStorage,
        Modality="US",
        SeriesDescription="Four chambers",
        ImageType=["ORIGINAL", "PRIMARY"],
        FrameTime="80",
        CineRate="12",
        FrameIncrementPointer=0x00181063,
        LossyImageCompression="00",
    )
    yield "heart-us", with_pixels(clip, frames, 8)


def hand() -> Made:
    """An X-ray in which high samples are dark: MONOCHROME1."""
    shared = study("hand-cr", ZOE, "202105031130", "XR hand", PatientAge="008Y")
    image = instance(
        shared,
        1,
        1,
        ComputedRadiographyImageStorage,
        Modality="CR",
        SeriesDescription="Hand, left",
        BodyPartExamined="HAND",
        ViewPosition="PA",
        ImageType=["ORIGINAL", "PRIMARY"],
        Laterality="L",
        PixelSpacing=["0.75", "0.75"],
    )
    samples = to_range(1 - 0.97 * phantoms.hand_xray(320, 256, 50), 1023)
    yield "hand-cr", with_pixels(image, samples, 10, PhotometricInterpretation="MONOCHROME1")


def angiogram() -> Made:
    """A contrast medium that runs into a tree of vessels: ten frames, grey."""
    shared = study("vessels-xa", LUKASZ, "201911281345", "XA coronary", PatientAge="070Y")
    ground = 0.78 + 0.1 * phantoms.smooth(phantoms.noise(160, 160, 60), 8)
    trees = [phantoms.vessels(160, 160, 0.1 * (frame + 1), (-0.8, -0.6), 35, 5) for frame in range(10)]
    clip = instance(
        shared,
        1,
        1,
        XRayAngiographicImageStorage,
        Modality="XA",
        SeriesDescription="Left coronary artery",
        ImageType=["ORIGINAL", "PRIMARY", "SINGLE PLANE"],
        FrameTime="66.7",
        FrameIncrementPointer=0x00181063,
        KVP="80",
        RadiationSetting="GR",
        PixelIntensityRelationship="LIN",
        LossyImageCompression="00",
    )
    frames = numpy.stack([to_range(ground - 0.6 * tree, 255) for tree in trees])
    yield "vessels-xa", with_pixels(clip, frames, 8, WindowCenter="128", WindowWidth="256")


def retinas() -> Made:
    """Both eyes in colour, RLE compressed."""
    shared = study("retina-op", YANNIS, "202308301100", "Fundus, both eyes", PatientAge="053Y")
    for number, side in enumerate("RL", 1):
        image = instance(
            shared,
            1,
            number,
            OphthalmicPhotography8BitImageStorage,
            Modality="OP",
            SeriesDescription="Fundus",
            ImageType=["ORIGINAL", "PRIMARY", "", "COLOR"],
            ImageLaterality=side,
            BurnedInAnnotation="NO",
            LossyImageCompression="00",
        )
        pixels = phantoms.retina(224, side == "R", 70 + 5 * number)
        yield f"retina-op-{side.lower()}", compressed(with_pixels(image, pixels, 8), RLELossless)


def heat_map() -> Made:
    """A scan whose samples are numbers of colours: PALETTE COLOR."""
    shared = study("body-nm", LUKASZ, "202001091000", "NM whole body", PatientAge="070Y")
    image = instance(
        shared,
        1,
        1,
        SecondaryCaptureImageStorage,
        Modality="NM",
        SeriesDescription="Anterior, in colour",
        ConversionType="WSD",
        ImageType=["DERIVED", "SECONDARY"],
    )
    colours = phantoms.heat_colours()
    with_pixels(image, to_range(phantoms.body_heat(320, 192, 80), 255), 8, PhotometricInterpretation="PALETTE COLOR")
    for channel, name in enumerate(("Red", "Green", "Blue")):
        setattr(image, f"{name}PaletteColorLookupTableDescriptor", [256, 0, 16])
        setattr(image, f"{name}PaletteColorLookupTableData", colours[:, channel].tobytes())
    yield "body-nm", image


def mammograms() -> Made:
    """Both sides, each in a series of its own, in lossless JPEG 2000."""
    shared = study("breast-mg", CHIYO, "202411180915", "MG screening", PatientAge="036Y")
    for series, side in enumerate("RL", 1):
        image = instance(
            shared,
            series,
            1,
            DigitalMammographyXRayImageStorageForPresentation,
            Modality="MG",
            SeriesDescription=f"{side} MLO",
            ImageType=["ORIGINAL", "PRIMARY"],
            PresentationIntentType="FOR PRESENTATION",
            BodyPartExamined="BREAST",
            ImageLaterality=side,
            ViewPosition="MLO",
            ImagerPixelSpacing=["0.6", "0.6"],
            BurnedInAnnotation="NO",
            LossyImageCompression="00",
        )
        samples = to_range(phantoms.breast(320, 240, side == "L", 90 + series), 4095)
        data_set = with_pixels(image, samples, 12, WindowCenter="2048", WindowWidth="4096")
        yield f"breast-mg-{side.lower()}", compressed(data_set, JPEG2000Lossless)
