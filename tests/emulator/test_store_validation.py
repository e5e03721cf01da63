"""Store: what the service checks in a data set, strictly in v1 and leniently in v2 (conformance statement, Store)."""

import pytest
import requests
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.tag import Tag

from tests.emulator.conftest import Service
from tests.emulator.dicom_files import item, raw_dataset, raw_instance
from tests.emulator.storing import (
    ATTRIBUTES_WARNING,
    CLASS_WARNING,
    VALIDATION_FAILURE,
    VERSIONS,
    comments,
    failed,
    failure_reasons,
    is_empty,
    metadata,
    retrieve,
    search,
    short,
    stored,
    warning_reason,
)

UIDS = ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"]
REQUIRED = ["SOPClassUID", *UIDS, "PatientID"]


def tag_of(name: str) -> str:
    """A keyword's or hex tag's 8 hex digits, as DICOM JSON writes them."""
    return f"{tag_for_keyword(name) or int(name, 16):08X}"


def comment_on(name: str) -> str:
    """The beginning of an ErrorComment on the attribute `name`."""
    tag = Tag(int(tag_of(name), 16))
    return f"DICOM100: ({tag.group:04x},{tag.element:04x}) - "


def missing(name: str) -> str:
    return comment_on(name) + f"The required tag '{comment_on(name)[10:21]}' is missing."


def assert_refused(response: requests.Response, *beginnings: str) -> None:
    """The only instance of the request failed validation, with these beginnings of ErrorComments."""
    assert response.status_code == 409, response.text
    assert list(response.json()) == ["00081198"]
    assert failure_reasons(response) == [VALIDATION_FAILURE]
    found = comments(failed(response)[0])
    assert len(found) == len(beginnings), found
    assert all(text.startswith(beginning) for text, beginning in zip(sorted(found), sorted(beginnings))), found


def assert_warned(response: requests.Response, *beginnings: str) -> dict:
    """The only instance of the request was stored by v2 with these beginnings of ErrorComments; its item."""
    assert response.status_code == 202, response.text
    assert list(response.json()) == ["00081199"]
    (stored_item,) = stored(response)
    assert warning_reason(stored_item) == ATTRIBUTES_WARNING
    found = comments(stored_item)
    assert len(found) == len(beginnings), found
    assert all(text.startswith(beginning) for text, beginning in zip(sorted(found), sorted(beginnings))), found
    return stored_item


def assert_clean(response: requests.Response, version: str) -> dict:
    """The only instance of the request was stored without any warning; its item."""
    assert response.status_code == 200, response.text
    (stored_item,) = stored(response)
    assert "00081196" not in stored_item
    assert stored_item.get("00741048") == ({"vr": "SQ"} if version == "v2" else None)
    return stored_item


# Required attributes


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("keyword", REQUIRED)
def test_a_file_without_a_required_attribute_is_refused(service: Service, version: str, keyword: str) -> None:
    response = service.store(raw_instance({keyword: None}), version=version)
    assert_refused(response, missing(keyword))
    (failed_item,) = failed(response)
    assert ("00081150" in failed_item) == (keyword != "SOPClassUID")
    assert ("00081155" in failed_item) == (keyword != "SOPInstanceUID")
    assert is_empty(service)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("keyword", ["SOPClassUID", *UIDS])
def test_a_file_with_an_empty_uid_is_refused(service: Service, version: str, keyword: str) -> None:
    assert_refused(service.store(raw_instance({keyword: b""}), version=version), missing(keyword))


@pytest.mark.parametrize("value", [b"", b"    "], ids=["empty", "blank"])
def test_an_empty_patient_id_is_refused_in_v1(service: Service, value: bytes) -> None:
    assert_refused(service.store(raw_instance({"PatientID": value}), version="v1"), missing("PatientID"))


@pytest.mark.parametrize("value", [b"", b"    "], ids=["empty", "blank"])
def test_an_empty_patient_id_is_a_warning_in_v2_and_not_in_the_metadata(service: Service, value: bytes) -> None:
    file = raw_instance({"PatientID": value})
    stored_item = assert_warned(service.store(file), missing("PatientID"))
    assert "00100020" not in metadata(service, stored_item)
    assert retrieve(service, stored_item).content == file


@pytest.mark.parametrize("keyword", REQUIRED)
def test_two_values_of_a_required_attribute_are_refused_in_v1(service: Service, keyword: str) -> None:
    response = service.store(raw_instance({keyword: b"1.2.31\\1.2.32"}), version="v1")
    assert response.status_code == 409
    assert failure_reasons(response) == [VALIDATION_FAILURE]
    assert any(comment.startswith(comment_on(keyword)) for comment in comments(failed(response)[0]))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("keyword", UIDS)
@pytest.mark.parametrize("value", [b"abc.123", b"11|", b"1.2-3", b"1.2.", b"1." + b"2" * 63, b"1.2 3"], ids=short)
def test_a_malformed_uid_is_refused_in_both_versions(
    service: Service, version: str, keyword: str, value: bytes
) -> None:
    response = service.store(raw_instance({keyword: value}), version=version)
    name = f"Dicom element '{keyword}' failed validation for VR 'UI': "
    assert_refused(response, comment_on(keyword) + name)
    assert failed(response)[0]["00081150"]["Value"] == ["1.2.840.10008.5.1.4.1.1.7"]
    assert is_empty(service)


@pytest.mark.parametrize("value", ["abc.123", "1.2-3"])
def test_a_malformed_sop_class_is_refused_in_v2_only(service: Service, value: str) -> None:
    file = raw_instance({"SOPClassUID": value.encode()})
    response = service.store(file, version="v2")
    name = "Dicom element 'SOPClassUID' failed validation for VR 'UI': "
    assert_refused(response, comment_on("SOPClassUID") + name)
    assert failed(response)[0]["00081150"]["Value"] == [value]
    assert_clean(service.store(file, version="v1"), "v1")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("keyword", UIDS)
def test_blanks_after_a_uid_are_no_fault(service: Service, version: str, keyword: str) -> None:
    file = raw_instance({keyword: b"1.2.345   "})
    stored_item = assert_clean(service.store(file, version=version), version)
    assert " " not in stored_item["00081190"]["Value"][0]
    assert retrieve(service, stored_item).content == file


@pytest.mark.parametrize("keyword", UIDS)
@pytest.mark.parametrize("value", ["1.02.3", "1..3"])
def test_a_uid_with_a_leading_zero_or_an_empty_component_is_kept_and_only_v2_warns(
    service: Service, keyword: str, value: str
) -> None:
    assert_clean(service.store(raw_instance({keyword: value.encode()}), version="v1"), "v1")
    response = service.store(raw_instance({keyword: value.encode()}))
    stored_item = assert_warned(response, comment_on(keyword) + f'Content "{value}" does not validate VR UI: ')
    assert metadata(service, stored_item)[tag_of(keyword)] == {"vr": "UI", "Value": [value]}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("value", [b"1" * 65, b"P\0Q", b"\0P1"], ids=["65 characters", "NUL inside", "leading NUL"])
def test_a_malformed_patient_id_is_refused_in_both_versions(service: Service, version: str, value: bytes) -> None:
    name = "Dicom element 'PatientID' failed validation for VR 'LO': "
    assert_refused(service.store(raw_instance({"PatientID": value}), version=version), comment_on("PatientID") + name)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_patient_id_of_another_vr_is_refused_in_both_versions(service: Service, version: str) -> None:
    assert_refused(service.store(raw_instance({"PatientID": ("SH", b"P1")}), version=version), comment_on("PatientID"))


# Searchable attributes: refused in v1, a warning and dropped in v2

WRONG_SEARCHABLE = [
    ("PatientName", b"A=B=C=D"),
    ("PatientName", b"x" * 65),
    ("PatientName", b"A=" + b"x" * 65),
    ("PatientName", b"A^B^C^D^E^F"),
    ("PatientName", b"A^B\7"),
    ("PatientBirthDate", b"1980-01-01"),
    ("AccessionNumber", b"1" * 17),
    ("ReferringPhysicianName", b"A^B^C^D^E^F"),
    ("StudyDate", b"20201301"),
    ("StudyDate", b"20200132"),
    ("StudyDate", b"2020"),
    ("StudyDate", b"2020.01.01"),
    ("StudyDescription", b"x" * 65),
    ("StudyDescription", b"A\7B"),
    ("ModalitiesInStudy", b"X" * 17),
    ("Modality", b"X" * 17),
    ("PerformedProcedureStepStartDate", b"today"),
    ("ManufacturerModelName", b"x" * 65),
]


@pytest.mark.parametrize("keyword, value", WRONG_SEARCHABLE, ids=short)
def test_v1_refuses_a_wrong_searchable_attribute(service: Service, keyword: str, value: bytes) -> None:
    response = service.store(raw_instance({keyword: value}), version="v1")
    name = f"Dicom element '{keyword}' failed validation for VR '{dictionary_VR(keyword)}': "
    assert_refused(response, comment_on(keyword) + name)
    assert is_empty(service)


@pytest.mark.parametrize("keyword, value", WRONG_SEARCHABLE, ids=short)
def test_v2_stores_a_wrong_searchable_attribute_only_in_the_file(service: Service, keyword: str, value: bytes) -> None:
    file = raw_instance({keyword: value})
    expected = comment_on(keyword) + f'Content "{value.decode()}" does not validate VR {dictionary_VR(keyword)}: '
    stored_item = assert_warned(service.store(file), expected)
    assert tag_of(keyword) not in metadata(service, stored_item)
    assert retrieve(service, stored_item).content == file
    (row,) = search(service, "instances", includefield=keyword)
    assert tag_of(keyword) not in row
    level = "studies" if keyword in {"PatientName", "StudyDescription", "AccessionNumber"} else "series"
    (row,) = search(service, level)
    assert tag_of(keyword) not in row


def test_the_comment_on_a_wrong_date_in_v2_says_what_was_expected(service: Service) -> None:
    stored_item = assert_warned(service.store(raw_instance({"StudyDate": b"NotAValidStudyDate"})), "")
    assert comments(stored_item) == [
        'DICOM100: (0008,0020) - Content "NotAValidStudyDate" does not validate VR DA: '
        "one of the date values does not match the pattern YYYYMMDD"
    ]


def test_a_dropped_attribute_finds_nothing(service: Service) -> None:
    wrong = {"StudyDescription": b"x" * 65, "ManufacturerModelName": b"y" * 65, "PatientName": b"A^B^C^D^E^F"}
    stored_item = assert_warned(service.store(raw_instance(wrong)), *(comment_on(keyword) for keyword in wrong))
    assert search(service, "studies", StudyDescription="x" * 65) == []
    assert search(service, "studies", PatientName="A^B^C^D^E^F") == []
    assert search(service, "series", ManufacturerModelName="y" * 65) == []
    assert not {tag_of(keyword) for keyword in wrong} & set(metadata(service, stored_item))


def test_v1_names_every_wrong_searchable_attribute_once(service: Service) -> None:
    wrong = {"Modality": b"X" * 17, "StudyDescription": b"x\7" * 40, "AccessionNumber": b"1" * 17}
    assert_refused(service.store(raw_instance(wrong), version="v1"), *map(comment_on, wrong))


def test_v2_names_an_attribute_with_several_wrong_values_once(service: Service) -> None:
    assert_warned(service.store(raw_instance({"ImageType": b"one\\two\\three"})), comment_on("ImageType"))


@pytest.mark.parametrize("version", VERSIONS)
def test_empty_searchable_attributes_are_fine(service: Service, version: str) -> None:
    keywords = {keyword for keyword, _ in WRONG_SEARCHABLE}
    assert_clean(service.store(raw_instance(dict.fromkeys(keywords, b"")), version=version), version)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "keyword, value",
    [
        ("Modality", b"X" * 16),
        ("AccessionNumber", b"1" * 16),
        ("StudyDescription", b"x" * 64),
        ("StudyDescription", "\u00e9".encode() * 64),
        ("PatientID", "\u6f22".encode() * 64),
        ("PatientName", b"A^B^C^D^E=F^G^H^I^J=K^L^M^N^O"),
        ("PatientName", b"x" * 64 + b"=" + b"y" * 64 + b"=" + b"z" * 64),
        ("PatientName", "\u5c71\u7530^\u592a\u90ce".encode()),
        ("StudyDate", b"20200229"),
        ("StudyInstanceUID", b"1." + b"2" * 62),
        ("StudyInstanceUID", b"1.2.345"),
    ],
    ids=short,
)
def test_values_at_their_limits_are_fine(service: Service, version: str, keyword: str, value: bytes) -> None:
    stored_item = assert_clean(service.store(raw_instance({keyword: value}), version=version), version)
    assert tag_of(keyword) in metadata(service, stored_item)


@pytest.mark.parametrize(
    "keyword, value, refused_by_v1, warned_by_v2",
    [
        ("StudyDate", b"20200230", True, False),
        ("StudyDate", b"20200101-20200131", True, False),
        ("Modality", b"lower", False, True),
        ("Modality", b"HEAD-1", False, True),
    ],
    ids=short,
)
def test_the_two_sets_of_rules_differ(
    service: Service, keyword: str, value: bytes, refused_by_v1: bool, warned_by_v2: bool
) -> None:
    old = service.store(raw_instance({keyword: value}), version="v1")
    new = service.store(raw_instance({keyword: value}), version="v2")
    assert_refused(old, comment_on(keyword)) if refused_by_v1 else assert_clean(old, "v1")
    assert_warned(new, comment_on(keyword)) if warned_by_v2 else assert_clean(new, "v2")


@pytest.mark.parametrize(
    "keyword, vr, value",
    [
        ("Modality", "LO", b"OT"),
        ("StudyDate", "LO", b"20200101"),
        ("AccessionNumber", "LO", b"1"),
        ("StudyDescription", "SH", b"x"),
        ("PatientName", "LO", b"A^B"),
        ("PatientBirthDate", "CS", b"19800101"),
    ],
    ids=short,
)
def test_v1_refuses_a_searchable_attribute_of_another_vr(service: Service, keyword: str, vr: str, value: bytes) -> None:
    assert_refused(service.store(raw_instance({keyword: (vr, value)}), version="v1"), comment_on(keyword))


@pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
def test_escape_sequences_are_no_control_characters(service: Service) -> None:
    file = raw_instance({"SpecificCharacterSet": b"\\ISO 2022 IR 87", "StudyDescription": b"\x1b$B;3ED\x1b(B"})
    stored_item = assert_clean(service.store(file, version="v1"), "v1")
    assert metadata(service, stored_item)["00081030"]["Value"] == ["\u5c71\u7530"]
    assert_clean(service.store(raw_instance({"StudyDescription": b"A\x1bB"}), version="v1"), "v1")


# NUL

WITH_TRAILING_NULS = [
    ("Modality", b"OT\0\0"),
    ("AccessionNumber", b"ACC\0"),
    ("AccessionNumber", b"ACCN\0\0"),
    ("StudyDescription", b"Abdomen\0"),
    ("PatientName", b"Nul^Pat\0"),
    ("PatientID", b"PID\0"),
    ("PatientID", b"P1\0\0\0\0"),
    ("StudyDate", b"20200101\0\0"),
]


@pytest.mark.parametrize("keyword, value", WITH_TRAILING_NULS, ids=short)
def test_v1_refuses_trailing_nuls(service: Service, keyword: str, value: bytes) -> None:
    assert_refused(service.store(raw_instance({keyword: value}), version="v1"), comment_on(keyword))


def test_the_comment_on_a_nul_in_v1_names_attribute_and_vr(service: Service) -> None:
    response = service.store(raw_instance({"PatientID": b"PID\0"}), version="v1")
    assert comments(failed(response)[0]) == [
        "DICOM100: (0010,0020) - Dicom element 'PatientID' failed validation for VR 'LO': "
        "Value contains invalid character."
    ]


@pytest.mark.parametrize("keyword, value", WITH_TRAILING_NULS, ids=short)
def test_v2_takes_trailing_nuls_and_keeps_them(service: Service, keyword: str, value: bytes) -> None:
    file = raw_instance({keyword: value})
    stored_item = assert_clean(service.store(file), "v2")
    (saved,) = metadata(service, stored_item)[tag_of(keyword)]["Value"]
    assert (saved["Alphabetic"] if keyword == "PatientName" else saved) == value.decode()
    assert retrieve(service, stored_item).content == file


@pytest.mark.parametrize("keyword, value", [row for row in WITH_TRAILING_NULS if row[0] != "StudyDate"], ids=short)
def test_v2_finds_a_value_with_trailing_nuls_with_and_without_them(
    service: Service, keyword: str, value: bytes
) -> None:
    service.store(raw_instance({keyword: value}))
    for wanted in (value.decode(), value.decode().rstrip("\0")):
        assert len(search(service, "instances", **{keyword: wanted})) == 1
        assert len(search(service, "series" if keyword == "Modality" else "studies", **{keyword: wanted})) == 1


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "keyword, value",
    [("Manufacturer", b"ACME\0\0"), ("ContentTime", b"1200\0\0"), ("PatientAge", b"024Y\0\0")],
    ids=short,
)
def test_trailing_nuls_of_other_attributes_are_fine(service: Service, version: str, keyword: str, value: bytes) -> None:
    assert_clean(service.store(raw_instance({keyword: value}), version=version), version)


def test_a_nul_inside_a_value_is_refused_in_v1_and_a_warning_in_v2(service: Service) -> None:
    file = raw_instance({"Modality": b"X\0X"})
    assert_refused(service.store(file, version="v1"), comment_on("Modality"))
    stored_item = assert_warned(service.store(file), comment_on("Modality") + "Content ")
    assert "does not validate VR CS: value contains invalid character" in comments(stored_item)[0]
    assert "00080060" not in metadata(service, stored_item)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("keyword", ["SOPClassUID", *UIDS])
def test_one_nul_that_pads_a_uid_is_no_fault(service: Service, version: str, keyword: str) -> None:
    assert_clean(service.store(raw_instance({keyword: b"1.2.34567\0"}), version=version), version)


def test_a_further_nul_after_the_sop_class_is_fine_in_v2(service: Service) -> None:
    assert_clean(service.store(raw_instance({"SOPClassUID": b"1.2.3456\0\0"})), "v2")


@pytest.mark.parametrize("keyword", UIDS)
def test_a_further_nul_after_a_uid_is_refused_in_v1_and_fine_in_v2(service: Service, keyword: str) -> None:
    file = raw_instance({keyword: b"1.2.3456\0\0"})
    assert_refused(service.store(file, version="v1"), comment_on(keyword))
    stored_item = assert_clean(service.store(file), "v2")
    assert "\0" not in stored_item["00081190"]["Value"][0]
    assert retrieve(service, stored_item).content == file
    assert len(search(service, "instances", **{keyword: "1.2.3456"})) == 1


def test_a_study_uid_with_a_further_nul_fits_the_path_without_it_in_v2(service: Service) -> None:
    file = raw_instance({"StudyInstanceUID": b"1.2.3456\0\0"})
    refused = service.store(file, version="v1", study="1.2.3456")
    assert refused.status_code == 409 and failure_reasons(refused) == [VALIDATION_FAILURE]
    stored_item = assert_clean(service.store(file, study="1.2.3456"), "v2")
    assert retrieve(service, stored_item).content == file
    assert len(search(service, "studies", StudyInstanceUID="1.2.3456")) == 1


# All other attributes: not looked at in v1, a warning and dropped in v2

WRONG_ELSEWHERE = [
    ("RetrieveAETitle", b"A" * 17),
    ("RetrieveAETitle", b"      "),
    ("RetrieveAETitle", b"AE\1"),
    ("PatientAge", b"24Y"),
    ("PatientAge", b"024X"),
    ("PatientAge", b"024"),
    ("BodyPartExamined", b"head"),
    ("BodyPartExamined", b"A" * 17),
    ("BodyPartExamined", b"HEAD-1"),
    ("AcquisitionDate", b"20201301"),
    ("AcquisitionDate", b"20200132"),
    ("AcquisitionDate", b"2020-01-01"),
    ("PixelSpacing", b"abc\\1.0"),
    ("PixelSpacing", b"1.0\\1,5"),
    ("SliceThickness", b"0.123456789012345"),
    ("SliceThickness", b"1.2.3"),
    ("AcquisitionDateTime", b"2020-01-01"),
    ("AcquisitionDateTime", b"20200101T12"),
    ("AcquisitionDateTime", b"20200101120000.1234567"),
    ("InstanceNumber", b"1.5"),
    ("InstanceNumber", b"abc"),
    ("InstanceNumber", b"2147483648"),
    ("InstanceNumber", b"-2147483649"),
    ("Manufacturer", b"x" * 65),
    ("Manufacturer", b"A\7"),
    ("ImageComments", b"x" * 10241),
    ("StationName", b"x" * 17),
    ("StationName", b"A\7"),
    ("InstitutionAddress", b"x" * 1025),
    ("OperatorsName", b"A=B=C=D"),
    ("OperatorsName", b"x" * 65),
    ("OperatorsName", b"A^B^C^D^E^F"),
    ("OperatorsName", b"A\7"),
    ("PatientBirthTime", b"24"),
    ("PatientBirthTime", b"1260"),
    ("PatientBirthTime", b"120061"),
    ("PatientBirthTime", b"12:30"),
    ("PatientBirthTime", b"120000.1234567"),
    ("FrameOfReferenceUID", b"1.02.3"),
    ("FrameOfReferenceUID", b"1..3"),
    ("FrameOfReferenceUID", b"1.2.a"),
    ("FrameOfReferenceUID", b"1." + b"2" * 63),
]


@pytest.mark.parametrize("keyword, value", WRONG_ELSEWHERE, ids=short)
def test_v2_warns_of_any_wrong_attribute_and_drops_it(service: Service, keyword: str, value: bytes) -> None:
    file = raw_instance({keyword: value})
    stored_item = assert_warned(service.store(file), comment_on(keyword) + 'Content "')
    assert f"does not validate VR {dictionary_VR(keyword)}: " in comments(stored_item)[0]
    assert tag_of(keyword) not in metadata(service, stored_item)
    assert retrieve(service, stored_item).content == file


def test_v1_does_not_look_at_other_attributes_and_keeps_them(service: Service) -> None:
    wrong = dict(WRONG_ELSEWHERE) | {"00090010": ("LO", b"ACME"), "00091001": ("CS", b"lower")}
    file = raw_instance(wrong)
    stored_item = assert_clean(service.store(file, version="v1"), "v1")
    assert {tag_of(keyword) for keyword in wrong} <= set(metadata(service, stored_item))
    assert retrieve(service, stored_item).content == file


@pytest.mark.parametrize(
    "keyword, value",
    [
        ("RetrieveAETitle", b"STORE_SCP\\OTHER-SCP"),
        ("RetrieveAETitle", b"A" * 16),
        ("PatientAge", b"024D"),
        ("PatientAge", b"003W"),
        ("PatientAge", b"012M"),
        ("PatientAge", b"100Y"),
        ("BodyPartExamined", b"A_B 1"),
        ("ImageType", b"DERIVED\\PRIMARY\\\\OTHER"),
        ("AcquisitionDate", b"20200229"),
        ("AcquisitionDate", b"20200101-20200131"),
        ("PixelSpacing", b"1.0\\-1.5e-3"),
        ("SliceThickness", b" +2.50 "),
        ("SliceThickness", b"0.12345678901234"),
        ("AcquisitionDateTime", b"2020"),
        ("AcquisitionDateTime", b"202001"),
        ("AcquisitionDateTime", b"2020010112"),
        ("AcquisitionDateTime", b"20200101123059.123456+0100"),
        ("InstanceNumber", b"-5"),
        ("InstanceNumber", b"+7"),
        ("InstanceNumber", b"2147483647"),
        ("InstanceNumber", b"-2147483648"),
        ("Manufacturer", "\u00e9".encode() * 64),
        ("ImageComments", b"line\r\nline" + b"x" * 10230),
        ("StationName", b"x" * 16),
        ("InstitutionAddress", "\u00e9".encode() * 1024),
        ("OperatorsName", b"A^B^C^D^E=F=G\\Second^Name"),
        ("PatientBirthTime", b"12"),
        ("PatientBirthTime", b"2359"),
        ("PatientBirthTime", b"235960"),
        ("PatientBirthTime", b"123059.1"),
        ("PatientBirthTime", b"123059.123456"),
        ("PatientBirthTime", b"1230    "),
        ("FrameOfReferenceUID", b"1.2.0.3"),
        ("FrameOfReferenceUID", b"1." + b"2" * 62),
        ("Rows", b"\0\2"),
    ],
    ids=short,
)
def test_v2_is_content_with_right_values(service: Service, keyword: str, value: bytes) -> None:
    stored_item = assert_clean(service.store(raw_instance({keyword: value})), "v2")
    assert tag_of(keyword) in metadata(service, stored_item)


@pytest.mark.parametrize("version", VERSIONS)
def test_empty_attributes_are_fine(service: Service, version: str) -> None:
    keywords = {keyword for keyword, _ in WRONG_ELSEWHERE}
    assert_clean(service.store(raw_instance(dict.fromkeys(keywords, b"")), version=version), version)


def test_a_wrong_private_attribute_is_a_warning_in_v2_only(service: Service) -> None:
    wrong = {"00090010": ("LO", b"ACME"), "00091001": ("CS", b"lower"), "00091002": ("CS", b"UPPER")}
    stored_item = assert_warned(service.store(raw_instance(wrong)), comment_on("00091001"))
    kept = metadata(service, stored_item)
    assert "00091001" not in kept and kept["00091002"] == {"vr": "CS", "Value": ["UPPER"]}
    stored_item = assert_clean(service.store(raw_instance(wrong), version="v1"), "v1")
    assert metadata(service, stored_item)["00091001"] == {"vr": "CS", "Value": ["lower"]}


@pytest.mark.parametrize("depth", [1, 2])
def test_a_wrong_value_inside_an_item_is_a_warning_in_v2_and_stays_in_the_metadata(
    service: Service, depth: int
) -> None:
    content = raw_dataset({"CodeValue": b"x" * 17, "CodeMeaning": b"right"})
    for _ in range(depth):
        sequence = {"ProcedureCodeSequence": ("SQ", item(content))}
        content = raw_dataset(sequence)

    def innermost(dataset: dict) -> dict:
        for _ in range(depth):
            dataset = dataset["00081032"]["Value"][0]
        return dataset

    old = assert_clean(service.store(raw_instance(sequence), version="v1"), "v1")
    new = assert_warned(service.store(raw_instance(sequence)), comment_on("CodeValue"))
    for stored_item in (old, new):
        assert innermost(metadata(service, stored_item)) == {
            "00080100": {"vr": "SH", "Value": ["x" * 17]},
            "00080104": {"vr": "LO", "Value": ["right"]},
        }


def test_implicit_vr_and_a_wrong_attribute_in_v1_and_v2(service: Service) -> None:
    wrong = {"Manufacturer": b"x" * 65}
    old = service.store(raw_instance(wrong, "1.2.840.10008.1.2"), version="v1")
    new = service.store(raw_instance(wrong, "1.2.840.10008.1.2"), version="v2")
    assert (old.status_code, new.status_code) == (200, 202)
    assert "00741048" not in stored(old)[0] and warning_reason(stored(old)[0]) == CLASS_WARNING
    assert len(comments(stored(new)[0])) == 1 and warning_reason(stored(new)[0]) == CLASS_WARNING
    assert "00080070" in metadata(service, stored(old)[0])
    assert "00080070" not in metadata(service, stored(new)[0])


@pytest.mark.parametrize("version, status", [("v1", 200), ("v2", 202)])
def test_pixel_data_is_never_wrong(service: Service, version: str, status: int) -> None:
    file = raw_instance({"PatientBirthTime": b"99", "PixelData": ("OB", bytes(range(256)))})
    response = service.store(file, version=version)
    assert response.status_code == status
    assert len(comments(stored(response)[0])) == 1 if version == "v2" else "00741048" not in stored(response)[0]
