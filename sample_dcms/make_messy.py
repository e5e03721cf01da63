"""Make a messy folder: good files of two patients, and among them everything that goes wrong in such folders.

Nobody was ever in front of a camera for them: the patients are invented, and the pictures are drawn in whole numbers.
The same call writes the same bytes on every machine. `python3 make_messy.py FOLDER` writes the files and says what each
of them is.
"""

import argparse
import io
import sys
from pathlib import Path
from typing import Any

import numpy
from pydicom import config
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

UID_ROOT = "1.2.826.0.1.3680043.8.498."
SIDE = 64  # pixels

IDA = {
    "PatientName": "Weaver^Ida",
    "PatientID": "WEAVER-4711",
    "PatientBirthDate": "19510723",
    "PatientSex": "F",
    "PatientAddress": "5 Mill Lane",
    "OtherPatientIDs": "INS-8800-51",
    "AccessionNumber": "ACC-1001",
    "StudyDate": "20240311",
    "StudyTime": "101500",
    "StudyDescription": "Chest of Mrs Weaver, control",
    "ReferringPhysicianName": "Quill^Bea",
    "InstitutionName": "Hillside Hospital",
}
OTTO = {
    "PatientName": "Miller^Otto",
    "PatientID": "MILLER-0815",
    "PatientBirthDate": "19620409",
    "PatientSex": "M",
    "PatientTelephoneNumbers": "555-0142",
    "AccessionNumber": "ACC-1002",
    "StudyDate": "20240312",
    "StudyTime": "153000",
    "StudyDescription": "Head, after a fall",
    "ReferringPhysicianName": "Quill^Bea",
    "InstitutionName": "Hillside Hospital",
}

# Capital letters, three dots wide and five high.
LETTERS = {
    "E": ("###", "#..", "##.", "#..", "###"),
    "I": ("###", ".#.", ".#.", ".#.", "###"),
    "L": ("#..", "#..", "#..", "#..", "###"),
    "M": ("#.#", "###", "###", "#.#", "#.#"),
    "R": ("##.", "#.#", "##.", "#.#", "#.#"),
}

Picture = numpy.ndarray


def uid(*names: object) -> str:
    """The UID of the study, series or instance of this name: always the same.

    >>> uid("ida") == uid("ida") != uid("otto")
    True
    """
    return generate_uid(UID_ROOT, ["dicomweb-course", "messy", *map(str, names)])


# ----------------------------------------------------------------------------------------------------------- drawings


def oval(across: int, down: int, wide: int, high: int) -> Picture:
    """True inside an oval; its centre and its half axes in pixels, from the upper left corner."""
    right = numpy.arange(SIDE)[None, :] - across
    below = numpy.arange(SIDE)[:, None] - down
    return (right * high) ** 2 + (below * wide) ** 2 < (wide * high) ** 2


def chest(number: int) -> Picture:
    """A body with two dark lungs and a bright heart, which is larger in each picture."""
    picture = numpy.zeros((SIDE, SIDE), "uint8")
    picture[oval(32, 33, 29, 25)] = 110
    picture[oval(19, 32, 10, 17)] = 30
    picture[oval(45, 32, 10, 17)] = 30
    picture[oval(32, 53, 4, 4)] = 230
    picture[oval(36, 33, 4 + 2 * number, 5 + 2 * number)] = 170
    return picture


def head(number: int) -> Picture:
    """A skull with two dark chambers, which are smaller in each picture."""
    picture = numpy.zeros((SIDE, SIDE), "uint8")
    picture[oval(32, 36, 22, 26)] = 230
    picture[oval(32, 36, 19, 23)] = 120
    for across in (26, 38):
        picture[oval(across, 35, 6 - number, 12 - 2 * number)] = 30
    return picture


def write(picture: Picture, text: str) -> None:
    """Burn `text` into the picture's upper left corner, in white dots."""
    for place, letter in enumerate(text):
        for row, dots in enumerate(LETTERS[letter]):
            for column, dot in enumerate(dots):
                if dot == "#":
                    picture[2 + row, 2 + 4 * place + column] = 255


# --------------------------------------------------------------------------------------------------------------- files


def instance(patient: dict[str, str], number: int, picture: Picture, **attributes: Any) -> Dataset:
    """The `number`th picture of the only series of a patient's only study."""
    who = patient["PatientID"]
    data_set = Dataset()
    described = {
        "SpecificCharacterSet": "ISO_IR 192",
        "SOPClassUID": SecondaryCaptureImageStorage,
        "SOPInstanceUID": uid(who, 1, number),
        "StudyInstanceUID": uid(who),
        "SeriesInstanceUID": uid(who, 1),
        "StudyID": "1",
        "Modality": "OT",
        "ConversionType": "SYN",
        "BodyPartExamined": "CHEST" if patient is IDA else "HEAD",
        "SeriesNumber": 1,
        "InstanceNumber": number,
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": SIDE,
        "Columns": SIDE,
        "BitsAllocated": 8,
        "BitsStored": 8,
        "HighBit": 7,
        "PixelRepresentation": 0,
        "BurnedInAnnotation": "NO",
    }
    for keyword, value in (described | patient | attributes).items():
        setattr(data_set, keyword, value)
    data_set.add_new("PixelData", "OB", picture.tobytes())
    return data_set


def part10(data_set: Dataset) -> bytes:
    """`data_set` as the bytes of a DICOM file (PS3.10 §7.1), also where its values are not valid."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = uid("implementation")
    meta.ImplementationVersionName = "DICOMWEBCOURSE"
    data_set.file_meta = meta
    buffer = io.BytesIO()
    dcmwrite(buffer, data_set, enforce_file_format=True)
    return buffer.getvalue()


def reference_to(data_set: Dataset) -> Dataset:
    reference = Dataset()
    reference.ReferencedSOPClassUID = data_set.SOPClassUID
    reference.ReferencedSOPInstanceUID = data_set.SOPInstanceUID
    return reference


def make() -> dict[str, bytes]:
    """The files by their path in the folder. What is wrong with each is said by FILES."""
    with config.disable_value_validation():  # two of them hold values that pydicom would refuse to write
        return dict(zip(FILES, contents(), strict=True))


def contents() -> list[bytes]:
    chests = [instance(IDA, number, chest(number)) for number in (1, 2, 3)]
    heads = [instance(OTTO, number, head(number)) for number in (1, 2, 3)]
    chests[1].ReferencedImageSequence = [reference_to(chests[0])]
    chests[2].BodyPartExamined = "Chest, left"
    private = heads[1].private_block(0x0011, "COURSE SCANNER", create=True)
    private.add_new(0x01, "LO", "MILLER OTTO *09.04.1962")
    private.add_new(0x02, "OB", b"Miller^Otto\0")
    burned = head(3)
    write(burned, "MILLER")
    heads[2].PixelData = burned.tobytes()

    edited = instance(IDA, 1, 255 - chest(1))
    letters = instance(IDA, 4, chest(2), StudyInstanceUID="WEAVER.2024.1")
    nobody = instance(OTTO, 4, head(2))
    del nobody.PatientID
    return [
        *map(part10, heads),
        part10(nobody),
        part10(chests[0]),
        part10(edited),
        part10(chests[1]),
        part10(chests[1]),
        part10(chests[2]),
        part10(letters),
        part10(instance(IDA, 5, chest(3)))[:3000],
        b"Call Mrs Weaver about the second picture.\n",
    ]


FILES = {
    "from-usb/0001": "good, a name without .dcm",
    "from-usb/0002": "good, but for private attributes that name the patient",
    "from-usb/0003": "good, but for the name that is burned into the picture",
    "from-usb/0004": "has no PatientID",
    "ward-3/IM1.dcm": "good",
    "ward-3/IM1_edited.dcm": "the UIDs of IM1.dcm, other pixels",
    "ward-3/IM2.dcm": "good; refers to IM1.dcm",
    "ward-3/IM2_copy.dcm": "IM2.dcm, byte for byte",
    "ward-3/IM3.dcm": "good, but for a BodyPartExamined that breaks the rules of its type",
    "ward-3/IM4.dcm": "letters in its StudyInstanceUID",
    "ward-3/IM5.dcm": "cut off in the middle of its pixels",
    "ward-3/notes.dcm": "a text",
}


def make_folder(folder: str | Path) -> list[Path]:
    """Write the files below `folder`; returns their paths, in order."""
    paths = []
    for name, content in make().items():
        path = Path(folder) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        paths.append(path)
    return sorted(paths)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Make the messy folder of lesson 17.")
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args(arguments).folder
    make_folder(folder)
    for name, what in FILES.items():
        print(f"{name}: {what}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
