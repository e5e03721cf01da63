"""Make tiny DICOM files on demand: facts about patients who never lived, and no pixels, for lessons that search.

make_instance() makes one file with the attributes that you name, make_studies() an archive of a few hundred studies.
No clock is read and no dice are thrown: the same call makes the same bytes under the same UIDs on every machine.
"""

from datetime import date, timedelta
from typing import Any

from pydicom import config
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.uid import BasicTextSRStorage, SecondaryCaptureImageStorage

from sample_dcms.make_synthetic import part10, synthetic_uid

IMPLEMENTATION_CLASS_UID = "2.25.313135317617898750940771350260855038704.1000000000000000003"

# 25 families and 7 given names, with no factor in common, make every pair once in 175 patients.
FAMILIES = [
    "Abara", "Bauer", "Chen", "Díaz", "Eriksen", "Fontaine", "García", "Haddad", "Ivanova", "Jensen", "Kowalski",
    "López", "Müller", "Nakamura", "Okafor", "Petrov", "Quispe", "Rossi", "Silva", "Tanaka", "Ueda", "Varga", "Weiß",
    "Yamada", "Zając",
]  # fmt: skip
GIVEN = ["Anna Lena", "Ben", "Carla", "Dario", "Emi", "Hannah", "Ivo"]
KINDS = [  # of examinations: modality, description, part of the body
    ("CT", "CT chest", "CHEST"),
    ("MR", "MR head", "HEAD"),
    ("US", "Ultrasound abdomen", "ABDOMEN"),
    ("CT", "CT abdomen", "ABDOMEN"),
    ("CR", "X-ray hand", "HAND"),
    ("MR", "MR knee", "KNEE"),
    ("CT", "CT head", "HEAD"),
]
FIRST_DAY, DAYS = date(2024, 1, 1), 366
MR_SINCE = date(2024, 9, 1)  # the day when the hospital got its MR scanner; before, it made CT instead
EVERY = 10  # one study in so many has a second picture, and a report in a series of its own


def uid(*names: object) -> str:
    """The UID of the study, series or instance of these names: always the same, 64 characters long.

    >>> uid("A") == uid("A") != uid("B")
    True
    """
    return synthetic_uid("make_studies", *names)


def make_instance(study: str, number: int = 1, series: int = 1, **attributes: Any) -> bytes:
    """The bytes of a DICOM file: instance `number` of the series and study of these names, less than a kilobyte.

    `attributes` by keyword replace what it has, or come on top; None leaves one out. Values are written as they are
    given, bad ones too. The UIDs are uid_of_study(study), uid_of_series(study, series) and
    uid_of_instance(study, number, series).

    >>> import io
    >>> from pydicom import dcmread
    >>> dcmread(io.BytesIO(make_instance("A", PatientName="Doe^Jane"))).PatientName
    'Doe^Jane'
    """
    values: dict[str, Any] = {
        "SpecificCharacterSet": "ISO_IR 192",
        "SOPClassUID": SecondaryCaptureImageStorage,
        "SOPInstanceUID": uid_of_instance(study, number, series),
        "StudyDate": "20240101",
        "Modality": "OT",
        "PatientName": "Invented^Ina",
        "PatientID": "INVENTED",
        "StudyInstanceUID": uid_of_study(study),
        "SeriesInstanceUID": uid_of_series(study, series),
        "SeriesNumber": series,
        "InstanceNumber": number,
    }
    ds = Dataset()
    for keyword, value in (values | attributes).items():
        if value is not None:
            ds.add(element(keyword, value))
    return part10(ds, implementation=IMPLEMENTATION_CLASS_UID)


def element(keyword: str, value: Any) -> DataElement:
    """An attribute whose value nobody judges: a lesson about errors needs bad ones."""
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise ValueError(f"DICOM has no attribute {keyword}")
    return DataElement(tag, dictionary_VR(tag), value, validation_mode=config.IGNORE)


def uid_of_study(study: str) -> str:
    """The StudyInstanceUID that make_instance gives."""
    return uid("study", study)


def uid_of_series(study: str, series: int = 1) -> str:
    """The SeriesInstanceUID that make_instance gives."""
    return uid("series", study, series)


def uid_of_instance(study: str, number: int = 1, series: int = 1) -> str:
    """The SOPInstanceUID that make_instance gives."""
    return uid("instance", study, series, number)


def make_studies(studies: int = 250, physician: str = "Ten^Lesson") -> dict[str, list[bytes]]:
    """An archive of the year 2024: the files of each study by its StudyInstanceUID, the earliest study first.

    Each study has a picture (without pixels); every tenth a second one, and a report as well. `physician` is the
    ReferringPhysicianName of all, so that a search can leave out what others have stored.

    >>> archive = make_studies(10)
    >>> len(archive), sum(map(len, archive.values()))
    (10, 12)
    """
    return {uid_of_study(f"{physician}/{number}"): files(number, studies, physician) for number in range(studies)}


def files(number: int, studies: int, physician: str) -> list[bytes]:
    """The files of study `number`, which counts from 0."""
    study = f"{physician}/{number}"
    patient = number * 3 % (len(FAMILIES) * len(GIVEN))
    modality, description, part = KINDS[number % len(KINDS)]
    day = FIRST_DAY + timedelta(days=number * DAYS // studies)
    if modality == "MR" and day < MR_SINCE:
        modality, description = "CT", description.replace("MR", "CT")
    facts = {
        "StudyDate": f"{day:%Y%m%d}",
        "StudyTime": f"{8 + number % 9:02}{number * 7 % 60:02}00",
        "StudyID": str(number + 1),
        "StudyDescription": description,
        "ReferringPhysicianName": physician,
        "PatientName": f"{FAMILIES[patient % len(FAMILIES)]}^{GIVEN[patient % len(GIVEN)]}",
        "PatientID": f"LESSON-{patient + 1:03}",
        "PatientBirthDate": f"{1930 + patient * 11 % 80}{1 + patient % 12:02}{1 + patient % 28:02}",
        "PatientSex": "O",
        "StationName": f"ROOM {1 + number % 3}",
    }
    picture = {**facts, "Modality": modality, "BodyPartExamined": part, "SeriesDescription": description}
    made = [make_instance(study, **picture)]
    if number % EVERY == 0:
        made.append(make_instance(study, 2, **picture))
        report = {"SOPClassUID": BasicTextSRStorage, "Modality": "SR", "SeriesDescription": "Report"}
        made.append(make_instance(study, 1, 2, **facts, **report))
    return made
