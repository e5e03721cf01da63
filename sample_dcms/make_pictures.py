"""Draw pictures of every kind that a viewer meets: grey with windows, inverted, with a palette, colour, a film.

They are made on demand: make() gives the bytes of the files, `python3 make_pictures.py FOLDER` writes them. Nobody was
ever in front of a camera for them: the patients are invented. Shapes are drawn in whole numbers, no clock is read and
no dice are thrown, so the same versions of pydicom and its codecs make the same bytes on every run and machine.
"""

import argparse
import io
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.pixels.processing import convert_color_space
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    CTImageStorage,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    MRImageStorage,
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    RLELossless,
    SecondaryCaptureImageStorage,
    generate_uid,
)

UID_ROOT = "1.2.826.0.1.3680043.8.498."


def uid(*names: object) -> str:
    """The UID of the study, series or instance of this name: always the same, 64 characters long.

    >>> uid("film") == uid("film") != uid("ct")
    True
    """
    return generate_uid(UID_ROOT, ["dicomweb-course", *map(str, names)])


STUDY_INSTANCE_UID = uid("pictures")
RECORD_STUDY_INSTANCE_UID = uid("record")

# Twelve directions, clockwise from one o'clock: 1000 × (sine, -cosine), in whole numbers.
HOURS = [
    (500, -866), (866, -500), (1000, 0), (866, 500), (500, 866), (0, 1000),
    (-500, 866), (-866, 500), (-1000, 0), (-866, -500), (-500, -866), (0, -1000),
]  # fmt: skip

Picture = numpy.ndarray


def plane(rows: int, columns: int) -> tuple[Picture, Picture]:
    """Twice the distance of each pixel to the right of the centre, and below it: the centre may lie between pixels."""
    return 2 * numpy.arange(columns)[None, :] - (columns - 1), 2 * numpy.arange(rows)[:, None] - (rows - 1)


def disc(right: Picture, down: Picture, x: int, y: int, radius: int) -> Picture:
    """True inside; x, y and radius in pixels, from the centre."""
    return (right - 2 * x) ** 2 + (down - 2 * y) ** 2 <= (2 * radius) ** 2


def box(right: Picture, down: Picture, left: int, top: int, width: int, height: int) -> Picture:
    """True inside; the left upper corner in pixels from the centre."""
    across, below = right - 2 * left, down - 2 * top
    return (across >= 0) & (across < 2 * width) & (below >= 0) & (below < 2 * height)


# ----------------------------------------------------------------------------------------------------------- drawings


def ct_phantom() -> Picture:
    """A slice through a phantom, in Hounsfield units: int16, (128, 128).

    A body of fat and muscle with three inserts, and in each three rods that only a window of its own tells apart:
    lung on the left, liver on the right, bone below. Above them a wedge runs from -1000 to 1000.
    """
    right, down = plane(128, 128)
    values = numpy.full((128, 128), -1000)
    for x, y, radius, value in [
        (0, 0, 58, -90), (0, 0, 53, 50),
        (-26, -4, 19, -850), (-34, -10, 5, -780), (-18, -8, 5, -700), (-27, 6, 5, -600),
        (26, -4, 19, 60), (18, -10, 5, 30), (34, -8, 5, 45), (25, 6, 5, 90),
        (0, 32, 17, 700), (-8, 30, 4, 400), (8, 30, 4, 1000), (0, 41, 4, 1300),
    ]:  # fmt: skip
        values[disc(right, down, x, y, radius)] = value
    wedge = numpy.broadcast_to(right * 1000 // 63, values.shape)
    bar = box(right, down, -32, -42, 64, 10)
    return numpy.where(bar, wedge, values).astype("int16")


def key_xray() -> Picture:
    """How much of the rays is stopped, 0 to 1000, by a key and a wedge of ten steps: (96, 160)."""
    right, down = plane(96, 160)
    stopped = numpy.full((96, 160), 30)
    key = disc(right, down, -48, -14, 24) & ~disc(right, down, -48, -14, 13)
    key |= box(right, down, -26, -19, 86, 10)
    for left, length in ((20, 16), (34, 11), (48, 18)):
        key |= box(right, down, left, -10, 8, length)
    stopped[key] = 900
    stopped[disc(right, down, -62, -14, 4)] = 500
    for step in range(10):
        stopped[box(right, down, -70 + 14 * step, 26, 14, 16)] = 60 + 90 * step
    return stopped.astype("uint16")


def warmth() -> Picture:
    """Two warm spots on a cold plate, 0 to 255: uint8, (96, 128)."""
    right, down = plane(96, 128)
    warm = numpy.zeros((96, 128), int)
    for x, y, radius, most in ((-24, 6, 50, 255), (34, -16, 34, 190), (40, 28, 20, 120)):
        distance = (right - 2 * x) ** 2 + (down - 2 * y) ** 2
        warm = numpy.maximum(warm, most - most * distance // (2 * radius) ** 2)
    return warm.astype("uint8")


def palette() -> numpy.ndarray:
    """256 colours from black over red and yellow to white: uint16, (256, 3)."""
    steps = numpy.arange(256)
    channels = [(3 * steps - start).clip(0, 255) for start in (0, 255, 510)]
    return (numpy.stack(channels, axis=1) * 257).astype("uint16")


def test_card() -> Picture:
    """Seven colour bars, a grey wedge below and a white ring: uint8, (96, 128, 3)."""
    right, down = plane(96, 128)
    column, row = numpy.arange(128)[None, :], numpy.arange(96)[:, None]
    bars = numpy.array(
        [(235, 235, 235), (220, 200, 0), (0, 180, 200), (0, 160, 0), (190, 0, 170), (210, 30, 20), (20, 40, 200)]
    )
    card = numpy.where((row < 70)[..., None], bars[(column * 7 // 128).repeat(96, 0)], (column * 2)[..., None])
    ring = disc(right, down, 0, -13, 30) & ~disc(right, down, 0, -13, 25)
    card[ring] = 255
    return card.astype("uint8")


def dial(hour: int) -> Picture:
    """A dial with twelve marks, and a hand that points to `hour`: uint8, (80, 80)."""
    right, down = plane(80, 80)
    picture = numpy.where(disc(right, down, 0, 0, 38), 60 + (down + 80) // 4, 0)
    for x, y in HOURS:
        picture[disc(right, down, 33 * x // 1000, 33 * y // 1000, 2)] = 170
    x, y = HOURS[hour - 1]
    along, across = right * x + down * y, right * y - down * x  # 2000 for each pixel
    picture[(along >= -12_000) & (along <= 54_000) & (abs(across) <= 5_000)] = 255
    return picture.astype("uint8")


# --------------------------------------------------------------------------------------------------------------- files


def instance(series: int, number: int, sop_class: str, comment: str, **attributes: Any) -> Dataset:
    """A data set without pixels, the `number`th of a series of the study; both count from 1."""
    data_set = Dataset()
    described = {
        "SpecificCharacterSet": "ISO_IR 192",
        "SOPClassUID": sop_class,
        "SOPInstanceUID": uid("pictures", series, number),
        "StudyInstanceUID": STUDY_INSTANCE_UID,
        "SeriesInstanceUID": uid("pictures", series),
        "StudyDate": "20240229",
        "StudyTime": "120000",
        "StudyID": "1",
        "AccessionNumber": "",
        "ReferringPhysicianName": "",
        "PatientName": "Pictures^Of Nobody",
        "PatientID": "PICTURES",
        "PatientBirthDate": "",
        "PatientSex": "",
        "Modality": "OT",
        "SeriesNumber": series,
        "InstanceNumber": number,
        "ImageComments": comment,
    }
    for keyword, value in (described | attributes).items():
        setattr(data_set, keyword, value)
    return data_set


def with_pixels(data_set: Dataset, pixels: Picture, stored: int = 0, **attributes: Any) -> Dataset:
    """`data_set` with the samples (rows, columns) or (rows, columns, 3); a film has frames before them.

    stored: how many bits of each sample count; all of them unless given. PlanarConfiguration=1 orders them by plane.
    """
    colour = pixels.shape[-1] == 3
    bits = 8 * pixels.dtype.itemsize
    data_set.SamplesPerPixel = 3 if colour else 1
    data_set.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    if colour:
        data_set.PlanarConfiguration = 0
    film = pixels.ndim - colour == 3
    if film:
        data_set.NumberOfFrames = len(pixels)
    data_set.Rows, data_set.Columns = pixels.shape[film : film + 2]
    data_set.BitsAllocated, data_set.BitsStored = bits, stored or bits
    data_set.HighBit = data_set.BitsStored - 1
    data_set.PixelRepresentation = int(pixels.dtype.kind == "i")
    for keyword, value in attributes.items():
        setattr(data_set, keyword, value)
    if data_set.get("PlanarConfiguration"):
        pixels = numpy.moveaxis(pixels, -1, film)
    content = pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()
    data_set.add_new("PixelData", "OW" if bits > 8 else "OB", content + b"\0" * (len(content) % 2))
    return data_set


def part10(data_set: Dataset, transfer_syntax: str = ExplicitVRLittleEndian) -> bytes:
    """`data_set` as the bytes of a DICOM file (PS3.10 §7.1); its pixels plain, RLE or JPEG 2000."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = uid("implementation")
    meta.ImplementationVersionName = "DICOMWEBCOURSE"
    data_set.file_meta = meta
    if transfer_syntax != ExplicitVRLittleEndian:
        plugin = "pydicom" if transfer_syntax == RLELossless else "pylibjpeg"
        data_set.compress(transfer_syntax, encoding_plugin=plugin, generate_instance_uid=False)
    buffer = io.BytesIO()
    dcmwrite(buffer, data_set, enforce_file_format=True)
    return buffer.getvalue()


def ct(number: int, comment: str) -> Dataset:
    """Samples with a sign: Hounsfield units + 1024, and -2000 where the scanner sees nothing."""
    right, down = plane(128, 128)
    stored = numpy.where(disc(right, down, 0, 0, 63), ct_phantom() + 1024, -2000).astype("int16")
    data_set = instance(1, number, CTImageStorage, comment, Modality="CT", ImageType=["DERIVED", "PRIMARY", "AXIAL"])
    return with_pixels(
        data_set,
        stored,
        PixelPaddingValue=-2000,
        RescaleIntercept="-1024",
        RescaleSlope="1",
        RescaleType="HU",
        WindowCenter=["50", "-700", "700"],
        WindowWidth=["150", "600", "1400"],
        WindowCenterWidthExplanation=["SOFT TISSUE", "LUNG", "BONE"],
    )


def ct_file() -> bytes:
    return part10(ct(1, "CT phantom"))


def ct_jpeg_2000_file() -> bytes:
    return part10(ct(2, "CT phantom, JPEG 2000"), JPEG2000Lossless)


def key_file() -> bytes:
    """MONOCHROME1: where many rays arrive the sample is high, and is shown dark."""
    samples = (1000 - key_xray()).astype("uint16")
    data_set = instance(2, 1, ComputedRadiographyImageStorage, "X-ray of a key", Modality="CR")
    return part10(with_pixels(data_set, samples, 10, PhotometricInterpretation="MONOCHROME1"))


def palette_file() -> bytes:
    data_set = instance(3, 1, SecondaryCaptureImageStorage, "Warm spots, palette", ConversionType="SYN")
    with_pixels(data_set, warmth(), PhotometricInterpretation="PALETTE COLOR")
    for channel, name in enumerate(("Red", "Green", "Blue")):
        setattr(data_set, f"{name}PaletteColorLookupTableDescriptor", [256, 0, 16])
        table = palette()[:, channel].astype("<u2").tobytes()
        setattr(data_set, f"{name}PaletteColorLookupTableData", table)
    return part10(data_set)


def rgb_file() -> bytes:
    data_set = instance(4, 1, SecondaryCaptureImageStorage, "Test card, RGB", ConversionType="SYN")
    return part10(with_pixels(data_set, test_card()))


def ybr_file() -> bytes:
    """The test card in brightness and two colour differences, plane by plane."""
    data_set = instance(4, 2, SecondaryCaptureImageStorage, "Test card, YBR by plane", ConversionType="SYN")
    samples = convert_color_space(test_card(), "RGB", "YBR_FULL")
    return part10(with_pixels(data_set, samples, PhotometricInterpretation="YBR_FULL", PlanarConfiguration=1))


def film_file() -> bytes:
    """Twelve frames, RLE: in frame n the hand of a dial points to n o'clock."""
    data_set = instance(
        5,
        1,
        MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
        "Dial, twelve frames, RLE",
        ConversionType="SYN",
        FrameTime="150",
        FrameIncrementPointer=0x00181063,
    )
    return part10(with_pixels(data_set, numpy.stack([dial(hour) for hour in range(1, 13)])), RLELossless)


def record_file() -> bytes:
    """A small image of a study of its own whose data set holds every kind of value: for DICOM JSON, not for the eye."""
    data_set = instance(
        1,
        1,
        MRImageStorage,
        "Every kind of value",
        StudyInstanceUID=RECORD_STUDY_INSTANCE_UID,
        SeriesInstanceUID=uid("record", 1),
        SOPInstanceUID=uid("record", 1, 1),
        Modality="MR",
        ImageType=["DERIVED", "SECONDARY", "", "SHARPENED"],
        PatientName="Mihon^Hanako=見本^花子=みほん^はなこ",
        PatientID="RECORD",
        PatientBirthDate="19880629",
        PatientWeight="62.50",
        OperatorsName=["Muster^Jo", "Vzor^Žofie"],
        RepetitionTime="500",
        ImagingFrequency="63.8970",
        ImagePositionPatient=["-110", "-110.5", "1E+2"],
        DiffusionBValue=800.0,
        ReferencedImageSequence=[],
        RequestAttributesSequence=[request("R-1", "MR of the head"), request("R-2", "")],
    )
    icon = with_pixels(Dataset(), dial(3)[::10, ::10])
    data_set.IconImageSequence = [icon]
    block = data_set.private_block(0x0009, "COURSE PICTURES", create=True)
    block.add_new(0x01, "LO", "a private text")
    block.add_new(0x02, "OB", b"\1\2\3\4")
    return part10(with_pixels(data_set, dial(9)[::4, ::4]))


def request(identifier: str, description: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = identifier, "99COURSE", "Head"
    item = Dataset()
    item.RequestedProcedureDescription = description
    item.RequestedProcedureID = identifier
    item.RequestedProcedureCodeSequence = [code]
    return item


PICTURES: dict[str, Callable[[], bytes]] = {
    "ct": ct_file,
    "ct-jpeg-2000": ct_jpeg_2000_file,
    "key": key_file,
    "palette": palette_file,
    "rgb": rgb_file,
    "ybr": ybr_file,
    "film": film_file,
    "record": record_file,
}


def make(names: Iterable[str] = PICTURES) -> dict[str, bytes]:
    """The named files, or all of them: name -> content. Raises KeyError for a name that is not in PICTURES."""
    return {name: PICTURES[name]() for name in names}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make_pictures.py", description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where to write; made if it is not there")
    parser.add_argument("names", nargs="*", help=f"which; all unless named: {', '.join(PICTURES)}")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.names if name not in PICTURES]
    if unknown:
        parser.error(f"there is no {', '.join(unknown)}; there are {', '.join(PICTURES)}")
    options.folder.mkdir(parents=True, exist_ok=True)
    for name, content in make(options.names or PICTURES).items():
        (options.folder / f"{name}.dcm").write_bytes(content)
        print(f"{name}.dcm: {len(content):,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
