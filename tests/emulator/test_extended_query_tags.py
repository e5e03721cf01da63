"""Extended query tags: adding, listing, changing and deleting them (conformance statement, extended query tags)."""

import re
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.emulator.conftest import LONG, Service
from tests.emulator.dicom_files import instance, path
from tests.emulator.operations import (
    JSON_TYPE,
    SUCCEEDED,
    add_tags,
    finished,
    get_tag,
    post_tags,
    reference,
    set_query_status,
    succeeded,
    tag,
    tag_errors,
)
from tests.emulator.storing import PLAIN_TEXT, own_emulator, search
from tests.emulator.test_command_line import started

ALL_VERSIONS = ["v1.0-prerelease", "v1", "v2"]
AGE = "00101010"
# A keyword for each VR that can be indexed.
KEYWORDS = {
    "AE": "StationAETitle",
    "AS": "PatientAge",
    "CS": "BodyPartExamined",
    "DA": "SeriesDate",
    "DT": "AcquisitionDateTime",
    "FD": "ReferencePixelPhysicalValueX",
    "FL": "RecommendedDisplayFrameRateInFloat",
    "IS": "InstanceNumber",
    "LO": "SeriesDescription",
    "PN": "OperatorsName",
    "SH": "StationName",
    "SL": "ReferencePixelX0",
    "SS": "TagAngleSecondAxis",
    "TM": "SeriesTime",
    "UI": "FrameOfReferenceUID",
    "UL": "SimpleFrameList",
    "US": "Rows",
}
REFUSED_KEYWORDS = {
    "AT": "FrameIncrementPointer",
    "DS": "SliceThickness",
    "LT": "AdditionalPatientHistory",
    "OB": "ICCProfile",
    "OD": "DoubleFloatPixelData",
    "OF": "FloatPixelData",
    "OW": "RedPaletteColorLookupTableData",
    "SQ": "RequestAttributesSequence",
    "ST": "InstitutionAddress",
    "SV": "ExtendedOffsetTableLengths",
    "UC": "LongDeviceDescription",
    "UR": "RetrieveURL",
    "UT": "PixelDataProviderURL",
}
KEYWORDS |= {"SS": "TIDOffset", "FL": "ExaminedBodyThickness", "FD": "ReferencePixelPhysicalValueX"}


def tags_url(service: Service, version: str = "v2", path: str = "") -> str:
    return f"{service.url}/{version}/extendedquerytags" + (f"/{path}" if path else "")


def list_tags(service: Service, **query: Any) -> list[dict]:
    response = service.owner.get(tags_url(service), params=query)
    assert response.status_code == 200, response.text
    return response.json()


def paths(service: Service, **query: Any) -> list[str]:
    return [entry["path"] for entry in list_tags(service, **query)]


def post_raw(service: Service, body: bytes | str, content_type: str | None = "application/json") -> requests.Response:
    headers = {"Content-Type": content_type} if content_type else {}
    data = body.encode() if isinstance(body, str) else body
    return service.owner.post(tags_url(service), data=data, headers=headers)


def is_text(response: requests.Response, status: int) -> str:
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == PLAIN_TEXT
    assert response.text and "\n" not in response.text
    return response.text


class TestAdd:
    @pytest.mark.parametrize("version", ALL_VERSIONS)
    def test_it_is_202_with_a_reference_to_the_operation(self, service: Service, version: str) -> None:
        response = post_tags(service, tag("PatientAge"), version=version)
        assert response.status_code == 202
        assert response.headers["Content-Type"] == JSON_TYPE
        body = response.json()
        assert body == {"id": body["id"], "href": f"{service.url}/{version}/operations/{body['id']}"}
        assert response.headers["Location"] == body["href"]
        assert finished(service.owner, response)["status"] == SUCCEEDED[version]

    @pytest.mark.parametrize(("vr", "keyword"), KEYWORDS.items())
    @pytest.mark.parametrize("named", [False, True])
    def test_every_vr_that_can_be_indexed(self, service: Service, vr: str, keyword: str, named: bool) -> None:
        add_tags(service, tag(keyword, VR=vr) if named else tag(keyword))
        entry = get_tag(service, keyword)
        assert (entry["vr"], entry["status"]) == (vr, "ready")

    @pytest.mark.parametrize("keyword", [*REFUSED_KEYWORDS.values()])
    def test_no_other_vr(self, service: Service, keyword: str) -> None:
        text = is_text(post_tags(service, tag(keyword)), 400)
        assert keyword in text
        assert paths(service) == []

    @pytest.mark.parametrize("vr", [vr for vr in REFUSED_KEYWORDS if vr != "OD"] + ["OL", "OV", "UN", "UV", "XX", "u"])
    def test_no_other_vr_for_a_private_tag(self, service: Service, vr: str) -> None:
        text = is_text(post_tags(service, tag("00091001", VR=vr, PrivateCreator="ACME")), 400)
        assert "00091001" in text and vr.upper() in text.upper()
        assert paths(service) == []

    @pytest.mark.parametrize("level", ["Study", "Series", "Instance", "study", "SERIES", "iNSTANCE"])
    def test_levels_in_any_case(self, service: Service, level: str) -> None:
        add_tags(service, tag("PatientAge", level))
        assert get_tag(service, AGE)["level"] == level.lower()

    @pytest.mark.parametrize("path", ["PatientAge", "00101010"])
    def test_a_path_is_a_keyword_or_hex_digits(self, service: Service, path: str) -> None:
        add_tags(service, tag(path))
        assert paths(service) == [AGE]

    @pytest.mark.parametrize("path", ["0040a370", "0040A370"])
    def test_hex_digits_come_back_as_capitals(self, service: Service, path: str) -> None:
        response = post_tags(service, tag(path))  # a sequence
        assert is_text(response, 400)
        add_tags(service, tag(path[:4] + ("a13a" if path.islower() else "A13A"), VR="DT"))
        assert paths(service) == ["0040A13A"]

    def test_several_at_once_are_one_operation(self, service: Service) -> None:
        operation = add_tags(service, tag("PatientAge", "Study"), tag("SeriesNumber", "Series"), tag("Rows"))
        assert len(operation["resources"]) == 3
        assert {entry["path"]: entry["level"] for entry in list_tags(service)} == {
            AGE: "study",
            "00200011": "series",
            "00280010": "instance",
        }

    @pytest.mark.parametrize(
        "entry",
        [
            {"path": "PatientAge", "level": "Study", "vr": "AS"},
            {"PATH": "PatientAge", "LEVEL": "Study", "VR": "AS"},
            {"Path": "PatientAge", "Level": "Study", "VR": None, "PrivateCreator": None},
        ],
    )
    def test_property_names_in_any_case_and_null_is_nothing(self, service: Service, entry: dict) -> None:
        add_tags(service, entry)
        assert paths(service) == [AGE]

    def test_comments_and_trailing_commas_are_accepted(self, service: Service) -> None:
        body = '[ // the age\n {"Path": "PatientAge", /* all */ "Level": "Study",}, ]'
        succeeded(service.owner, post_raw(service, body))
        assert paths(service) == [AGE]

    @pytest.mark.parametrize(
        "content_type", ["application/json", "Application/JSON", "application/json; charset=utf-8"]
    )
    def test_the_body_is_json(self, service: Service, content_type: str) -> None:
        response = post_raw(service, '[{"Path": "PatientAge", "Level": "Study"}]', content_type)
        assert response.status_code == 202

    @pytest.mark.parametrize(
        "content_type", [None, "text/plain", "application/dicom+json", "application/xml", "application", "*/*", "x"]
    )
    def test_any_other_content_type_is_415_without_a_body(self, service: Service, content_type: str | None) -> None:
        response = post_raw(service, '[{"Path": "PatientAge", "Level": "Study"}]', content_type)
        assert (response.status_code, response.content) == (415, b"")
        assert paths(service) == []

    def test_a_private_tag(self, service: Service) -> None:
        add_tags(service, tag("00091001", "Series", VR="SS", PrivateCreator="ACME 1.0"))
        assert list_tags(service) == [
            {
                "path": "00091001",
                "vr": "SS",
                "privateCreator": "ACME 1.0",
                "level": "series",
                "status": "ready",
                "queryStatus": "enabled",
            }
        ]

    def test_a_private_identification_code_has_no_creator(self, service: Service) -> None:
        add_tags(service, tag("00090010", VR="LO"))
        entry = get_tag(service, "00090010")
        assert entry["vr"] == "LO" and "privateCreator" not in entry
        text = is_text(post_tags(service, tag("00090011", VR="LO", PrivateCreator="ACME")), 400)
        assert "00090011" in text

    def test_accept_does_not_matter(self, service: Service) -> None:
        for accept in ("application/json", "*/*", None):
            response = service.owner.get(tags_url(service), headers={"Accept": accept} if accept else {})
            assert response.status_code == 200


class TestRefused:
    @pytest.mark.parametrize("body", ["[]", "[ ]", "[/* none */]"])
    def test_no_tags_at_all(self, service: Service, body: str) -> None:
        assert is_text(post_raw(service, body), 400)

    @pytest.mark.parametrize("version", ALL_VERSIONS)
    @pytest.mark.parametrize("level", ["", "   ", None, "left out"])
    def test_a_missing_level(self, service: Service, version: str, level: str | None) -> None:
        entry = {"Path": "PatientAge", "Level": level} if level != "left out" else {"Path": "PatientAge"}
        text = is_text(post_tags(service, entry, version=version), 400)
        assert text.startswith(
            "The field '[0].Level' in request body is invalid: "
            "The Dicom Tag Property Level must be specified and must not be null, empty or whitespace"
        )

    @pytest.mark.parametrize("path", ["", "   ", None, "left out"])
    def test_a_missing_path(self, service: Service, path: str | None) -> None:
        entry = {"Path": path, "Level": "Study"} if path != "left out" else {"Level": "Study"}
        text = is_text(post_tags(service, entry), 400)
        assert text.startswith(
            "The field '[0].Path' in request body is invalid: "
            "The Dicom Tag Property Path must be specified and must not be null, empty or whitespace"
        )

    def test_the_field_says_which_entry_it_is(self, service: Service) -> None:
        text = is_text(post_tags(service, tag("PatientAge"), {"Path": "Rows"}), 400)
        assert text.startswith("The field '[1].Level' in request body is invalid: ")
        text = is_text(post_tags(service, tag("PatientAge"), tag("Rows", "Frame")), 400)
        assert text.startswith("The field '$[1].Level' in request body is invalid: ")

    @pytest.mark.parametrize("level", ["Studys", "Patient", "0", "Study "])
    @pytest.mark.parametrize("version", ALL_VERSIONS)
    def test_a_level_that_there_is_not(self, service: Service, version: str, level: str) -> None:
        text = is_text(post_tags(service, tag("PatientAge", level), version=version), 400)
        assert text == (
            f"The field '$[0].Level' in request body is invalid: Expected value '{level}' "
            "to be one of the following values: ['Instance', 'Series', 'Study']"
        )

    @pytest.mark.parametrize("level", [0, 1, 2.5, True, [], {}, ["Study"]])
    def test_a_level_that_is_no_string(self, service: Service, level: Any) -> None:
        text = is_text(post_tags(service, tag("PatientAge", level)), 400)
        assert text.startswith("The field '$[0].Level' in request body is invalid: ")

    @pytest.mark.parametrize(
        "path",
        ["patientage", "Age", "0010101", "001010100", "0010,1010", "(0010,1010)", "0010101G", "-0101010", "00101010.1"]
        + ["RequestAttributesSequence.ScheduledProcedureStepID", "PatientAge\0", "٠٠١٠١٠١٠", "Größe", "👾", "A" * 5000],
    )
    def test_a_path_that_is_no_tag(self, service: Service, path: str) -> None:
        assert is_text(post_tags(service, tag(path)), 400)
        assert paths(service) == []

    @pytest.mark.parametrize("vr", ["CS", "as1", "A", "LO", "SQ", "ÄÖ"])
    def test_a_vr_that_is_not_that_of_the_dictionary(self, service: Service, vr: str) -> None:
        text = is_text(post_tags(service, tag("PatientAge", VR=vr)), 400)
        assert "PatientAge" in text and vr.upper() in text.upper()

    def test_a_private_tag_without_vr(self, service: Service) -> None:
        text = is_text(post_tags(service, tag("00091001", PrivateCreator="ACME")), 400)
        assert "00091001" in text

    @pytest.mark.parametrize("creator", [None, "", "x" * 65, "A\\B", "A\tB", "A\0", "A\nB"])
    def test_a_private_tag_needs_a_creator_that_is_a_long_string(self, service: Service, creator: str | None) -> None:
        text = is_text(post_tags(service, tag("00091001", VR="SS", PrivateCreator=creator)), 400)
        assert "00091001" in text

    def test_a_standard_tag_has_no_creator(self, service: Service) -> None:
        text = is_text(post_tags(service, tag("PatientAge", PrivateCreator="ACME")), 400)
        assert "PatientAge" in text

    @pytest.mark.parametrize(
        "keyword",
        [
            "StudyInstanceUID",
            "PatientName",
            "PatientID",
            "PatientBirthDate",
            "AccessionNumber",
            "ReferringPhysicianName",
        ]
        + ["StudyDate", "StudyDescription", "ModalitiesInStudy", "SeriesInstanceUID", "Modality"]
        + ["PerformedProcedureStepStartDate", "ManufacturerModelName", "SOPInstanceUID", "00100010", "0020000d"],
    )
    def test_what_can_be_searched_for_already(self, service: Service, keyword: str) -> None:
        text = is_text(post_tags(service, tag(keyword)), 400)
        assert text == f"The query tag '{keyword}' is already supported."

    @pytest.mark.parametrize(
        ("first", "second"), [("PatientAge", "PatientAge"), ("PatientAge", AGE), ("0040a13a", "0040A13A")]
    )
    def test_the_same_tag_twice(self, service: Service, first: str, second: str) -> None:
        vr = {"VR": "DT"} if first.startswith("0040") else {}
        text = is_text(post_tags(service, tag(first, "Study", **vr), tag(second, "Series", **vr)), 400)
        assert "has been specified before" in text
        assert paths(service) == []

    def test_one_bad_tag_refuses_all(self, service: Service) -> None:
        assert post_tags(service, tag("PatientAge"), tag("Nonsense")).status_code == 400
        assert paths(service) == []

    @pytest.mark.parametrize("path", ["PatientAge", AGE])
    @pytest.mark.parametrize("version", ALL_VERSIONS)
    def test_a_tag_that_was_added_is_409(self, service: Service, version: str, path: str) -> None:
        add_tags(service, tag("PatientAge"))
        for entries in ([tag(path, "Study")], [tag("Rows"), tag(path)]):
            text = is_text(post_tags(service, *entries, version=version), 409)
            assert text == "One or more extended query tags already exist."
        assert paths(service) == [AGE]

    @pytest.mark.parametrize("version", ALL_VERSIONS)
    def test_a_second_reindex_is_409_and_says_where_the_first_is(self, slow: Service, version: str) -> None:
        first = reference(post_tags(slow, tag("PatientAge")))
        response = post_tags(slow, tag("Rows"), version=version)
        assert first["id"] in is_text(response, 409)
        assert response.headers["Location"] == f"{slow.url}/{version}/operations/{first['id']}"
        assert paths(slow) == [AGE]

    def test_a_second_reindex_may_follow_the_first(self, service: Service) -> None:
        add_tags(service, tag("PatientAge"))
        add_tags(service, tag("Rows"))
        assert paths(service) == [AGE, "00280010"]

    @pytest.mark.parametrize("version", ALL_VERSIONS)
    def test_more_than_128_are_503(self, service: Service, version: str) -> None:
        entries = [tag(f"00091{number:03X}", VR="SS", PrivateCreator="ACME") for number in range(129)]
        text = is_text(post_tags(service, *entries, version=version), 503)
        assert text == "Extended query tags exceeds max allowed count '128'."
        assert paths(service) == []

    def test_128_are_fine_however_they_come_and_deleting_makes_room(self, service: Service) -> None:
        entries = [tag(f"00091{number:03X}", VR="SS", PrivateCreator="ACME") for number in range(129)]
        add_tags(service, *entries[:100])
        text = is_text(post_tags(service, *entries[100:]), 503)
        assert text == "Extended query tags exceeds max allowed count '128'."
        add_tags(service, *entries[100:128])
        assert len(list_tags(service)) == 100, "a page has 100 unless asked otherwise"
        assert len(list_tags(service, limit=200)) == 128
        assert post_tags(service, entries[128]).status_code == 503
        assert service.owner.delete(tags_url(service, path="00091005")).status_code == 204
        add_tags(service, entries[128])
        assert len(list_tags(service, limit=200)) == 128

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"{",
            b"[",
            b"null",
            b"1",
            b'"PatientAge"',
            b"{}",
            b'{"Path": "PatientAge", "Level": "Study"}',
            b"[null]",
            b"[1]",
            b'["PatientAge"]',
            b"[[]]",
            b'[{"Path": "PatientAge" "Level": "Study"}]',
            b'[{"Path": 1052688, "Level": "Study"}]',
            b'[{"Path": {}, "Level": "Study"}]',
            b'[{"Path": "PatientAge", "Level": "Study", "VR": 1}]',
            b'[{"Path": "PatientAge", "Level": "Study", "PrivateCreator": []}]',
            b"[NaN]",
            b"\xff\xfe[\x00]\x00",
            b'[{"Path": "\xe4", "Level": "Study"}]',
            b'[{"Path": "PatientAge\\ud800", "Level": "Study"}]',
            b'[{"Path": "PatientAge", "Level": "\\ud800"}]',
            b'[{"Path": "PatientAge", "Level": "Study", "VR": "\\ud800"}]',
            b'[{"Path": "00091001", "Level": "Study", "VR": "SS", "PrivateCreator": "\\udfff\\\\"}]',
            b"[" * 100_000,
            b"[" + b"9" * 10_000 + b"]",
            b'[{"Path": "PatientAge", "Level": "Study"}] trailing',
        ],
        ids=lambda body: repr(body[:40]),
    )
    def test_what_is_no_list_of_tags_is_400(self, service: Service, body: bytes) -> None:
        is_text(post_raw(service, body), 400)
        assert paths(service) == []

    @pytest.mark.parametrize("comment", [b"// ", b"/**/", b"/* // */", b" ", b'"\\'])
    def test_many_comments_before_an_error_do_not_stop_the_emulator(self, comment: bytes) -> None:
        with started() as emulator:  # a process of its own, or this one would stop as well
            response = emulator.owner().post(
                f"{emulator.url}/v2/extendedquerytags",
                data=b"[1, " + comment * 1000 + b"x",
                headers={"Content-Type": "application/json"},
                timeout=30,
            )
            assert response.status_code == 400

    def test_a_syntax_error_names_a_field(self, service: Service) -> None:
        text = is_text(post_raw(service, "[{"), 400)
        assert re.match(r"The field '\S+' in request body is invalid: ", text)


class TestList:
    @pytest.mark.parametrize("version", ALL_VERSIONS)
    def test_no_tags_are_an_empty_array(self, service: Service, version: str) -> None:
        response = service.owner.get(tags_url(service, version))
        assert (response.status_code, response.json()) == (200, [])
        assert response.headers["Content-Type"] == JSON_TYPE

    @pytest.mark.parametrize("version", ALL_VERSIONS)
    def test_an_entry_has_these_properties(self, service: Service, version: str) -> None:
        add_tags(service, tag("PatientAge", "Study"))
        expected = {"path": AGE, "vr": "AS", "level": "study", "status": "ready", "queryStatus": "enabled"}
        assert service.owner.get(tags_url(service, version)).json() == [expected]
        response = service.owner.get(tags_url(service, version, AGE))
        assert (response.status_code, response.json()) == (200, expected)
        assert response.headers["Content-Type"] == JSON_TYPE

    @pytest.mark.parametrize("version", ALL_VERSIONS)
    def test_an_entry_that_is_being_indexed_names_the_operation(self, slow: Service, version: str) -> None:
        id = reference(post_tags(slow, tag("PatientAge", "Study")))["id"]
        entry = slow.owner.get(tags_url(slow, version, AGE)).json()
        assert entry["operation"] == {"id": id, "href": f"{slow.url}/{version}/operations/{id}"}
        assert entry["status"] == "adding"
        assert set(entry) == {"path", "vr", "level", "status", "queryStatus", "operation"}
        assert slow.owner.get(tags_url(slow, version)).json() == [entry]

    @pytest.mark.parametrize("path", ["PatientAge", "00101010"])
    def test_a_tag_is_found_by_keyword_and_hex(self, service: Service, path: str) -> None:
        add_tags(service, tag("PatientAge"))
        assert get_tag(service, path)["path"] == AGE

    @pytest.mark.parametrize("path", ["0040a13a", "0040A13A"])
    def test_hex_digits_in_any_case(self, service: Service, path: str) -> None:
        add_tags(service, tag("0040A13A"))
        assert get_tag(service, path)["path"] == "0040A13A"

    def test_pages(self, service: Service) -> None:
        add_tags(service, *(tag(f"00091{number:03X}", VR="SS", PrivateCreator="ACME") for number in range(7)))
        everything = paths(service)
        assert len(set(everything)) == 7
        assert paths(service, limit=3) == everything[:3]
        assert paths(service, limit=3, offset=3) == everything[3:6]
        assert paths(service, limit=3, offset=6) == everything[6:]
        assert paths(service, offset=7) == []
        assert paths(service, LIMIT=2, Offset=1) == everything[1:3]

    @pytest.mark.parametrize("limit", ["0", "201", "-1", "ten", "", "1.5", "99999999999999999999", "%00"])
    @pytest.mark.parametrize("below", ["", f"{AGE}/errors"])
    @pytest.mark.parametrize("version", ALL_VERSIONS)
    def test_a_limit_that_is_not_1_to_200_is_400(self, service: Service, version: str, below: str, limit: str) -> None:
        add_tags(service, tag("PatientAge"))
        text = is_text(service.owner.get(tags_url(service, version, below) + f"?limit={limit}"), 400)
        assert text.startswith("The query parameter 'Limit' is invalid. ")
        if limit in {"0", "201", "-1"}:
            assert text == "The query parameter 'Limit' is invalid. The field Limit must be between 1 and 200."

    @pytest.mark.parametrize("offset", ["-1", "ten", "", "1.5", "99999999999999999999"])
    @pytest.mark.parametrize("below", ["", f"{AGE}/errors"])
    def test_an_offset_that_is_negative_or_no_number_is_400(self, service: Service, below: str, offset: str) -> None:
        add_tags(service, tag("PatientAge"))
        text = is_text(service.owner.get(tags_url(service, path=below), params={"offset": offset}), 400)
        assert text.startswith("The query parameter 'Offset' is invalid. ")

    @pytest.mark.parametrize("limit", [1, 200])
    def test_the_smallest_and_the_largest_page(self, service: Service, limit: int) -> None:
        add_tags(service, tag("PatientAge"), tag("Rows"))
        assert len(list_tags(service, limit=limit)) == min(limit, 2)
        assert tag_errors(service, AGE, limit=limit) == []

    def test_tags_outlive_a_restart(self, tmp_path: Path) -> None:
        with own_emulator(data_dir=tmp_path) as service:
            service.store(instance(PatientAge="030Y"))
            add_tags(service, tag("PatientAge", "Study"))
            before = list_tags(service)
        with own_emulator(data_dir=tmp_path) as service:
            assert list_tags(service) == before
            assert len(search(service, "studies", PatientAge="030Y")) == 1


METHODS = ["GET", "PATCH", "DELETE", "GET errors"]


def ask(service: Service, method: str, path: str, client: requests.Session | None = None, version: str = "v2") -> Any:
    verb, _, below = method.partition(" ")
    url = tags_url(service, version, path) + (f"/{below}" if below else "")
    body = {"QueryStatus": "Disabled"} if verb == "PATCH" else None
    return (client or service.owner).request(verb, url, json=body)


class TestPath:
    @pytest.mark.parametrize("method", METHODS)
    @pytest.mark.parametrize("version", ALL_VERSIONS)
    @pytest.mark.parametrize("path", ["PatientAge", AGE, "PatientName", "00091001"])
    def test_an_unknown_tag_is_404(self, service: Service, version: str, method: str, path: str) -> None:
        add_tags(service, tag("Rows"))
        text = is_text(ask(service, method, path, version=version), 404)
        assert text == f"The specified extended query tag with tag path {path} cannot be found."

    @pytest.mark.parametrize("method", METHODS)
    @pytest.mark.parametrize(
        "path",
        ["patientage", "0010101", "001010100", "0010,1010", "Nonsense", "%C3%A4", "%00", "%20", "%ff", "a" * 5000],
    )
    def test_what_is_no_tag_is_400(self, service: Service, method: str, path: str) -> None:
        is_text(ask(service, method, path), 400)


class TestChange:
    @pytest.mark.parametrize("version", ALL_VERSIONS)
    @pytest.mark.parametrize("path", ["PatientAge", AGE])
    def test_queries_are_disabled_and_enabled(self, service: Service, version: str, path: str) -> None:
        add_tags(service, tag("PatientAge", "Study"))
        for asked in ("Disabled", "disabled", "Enabled", "ENABLED"):
            response = service.owner.patch(tags_url(service, version, path), json={"QueryStatus": asked})
            assert response.status_code == 200
            assert response.headers["Content-Type"] == JSON_TYPE
            assert response.json() == get_tag(service, AGE)
            assert response.json() == {
                "path": AGE,
                "vr": "AS",
                "level": "study",
                "status": "ready",
                "queryStatus": asked.lower(),
            }

    def test_the_property_in_any_case(self, service: Service) -> None:
        add_tags(service, tag("PatientAge"))
        response = service.owner.patch(tags_url(service, path=AGE), json={"querystatus": "Disabled"})
        assert response.json()["queryStatus"] == "disabled"

    @pytest.mark.parametrize("version", ALL_VERSIONS)
    @pytest.mark.parametrize("name", ["Level", "Path", "ExtraProperty", "ä", ""])
    def test_any_other_property_is_400_and_named(self, service: Service, version: str, name: str) -> None:
        add_tags(service, tag("PatientAge"))
        for body in ({name: "Disabled"}, {"QueryStatus": "Disabled", name: 1}):
            response = service.owner.patch(tags_url(service, version, AGE), json=body)
            assert is_text(response, 400).startswith(f'The field is not supported: "{name}"')
        assert get_tag(service, AGE)["queryStatus"] == "enabled"

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"{",
            b"null",
            b"[]",
            b"{}",
            b"1",
            b'{"QueryStatus": "Off"}',
            b'{"QueryStatus": ""}',
            b'{"QueryStatus": null}',
            b'{"QueryStatus": 0}',
            b'{"QueryStatus": 1}',
            b'{"QueryStatus": true}',
            b'{"QueryStatus": ["Enabled"]}',
            b'{"QueryStatus": {}}',
            b'{"QueryStatus": "\\ud800"}',
            b'{"\\ud800": "Enabled"}',
            b'{"QueryStatus": "\xff"}',
        ],
    )
    def test_any_other_value_is_400(self, service: Service, body: bytes) -> None:
        add_tags(service, tag("PatientAge"))
        headers = {"Content-Type": "application/json"}
        is_text(service.owner.patch(tags_url(service, path=AGE), data=body, headers=headers), 400)
        assert get_tag(service, AGE)["queryStatus"] == "enabled"

    @pytest.mark.parametrize("content_type", [None, "text/plain", "application/merge-patch+json"])
    def test_any_other_content_type_is_415_without_a_body(self, service: Service, content_type: str | None) -> None:
        add_tags(service, tag("PatientAge"))
        headers = {"Content-Type": content_type} if content_type else {}
        response = service.owner.patch(
            tags_url(service, path=AGE), data=b'{"QueryStatus": "Disabled"}', headers=headers
        )
        assert (response.status_code, response.content) == (415, b"")


class TestDelete:
    @pytest.mark.parametrize("version", ALL_VERSIONS)
    @pytest.mark.parametrize("path", ["PatientAge", AGE])
    def test_it_is_gone_at_once(self, service: Service, version: str, path: str) -> None:
        service.store(instance(PatientAge="030Y"))
        add_tags(service, tag("PatientAge"), tag("Rows"))
        response = service.owner.delete(tags_url(service, version, path))
        assert (response.status_code, response.content) == (204, b"")
        assert paths(service) == ["00280010"]
        for method in METHODS:
            assert ask(service, method, AGE).status_code == 404
        asked = service.owner.get(
            f"{service.v2}/instances?PatientAge=030Y", headers={"Accept": "application/dicom+json"}
        )
        assert asked.status_code == 400 and "is not queryable" in asked.text

    def test_one_that_is_being_indexed_is_409(self) -> None:
        with own_emulator(operation_time=LONG) as service:
            post_tags(service, tag("PatientAge"))
            for method, body in (("DELETE", None), ("PATCH", {"QueryStatus": "Disabled"})):
                response = service.owner.request(method, tags_url(service, path=AGE), json=body)
                assert response.status_code == 409 and "is being indexed" in response.text
            assert paths(service) == [AGE]

    def test_new_files_are_not_indexed_until_it_is_added_again(self, service: Service) -> None:
        add_tags(service, tag("PatientAge"))
        before = instance(PatientAge="030Y")
        service.store(before)
        service.owner.delete(tags_url(service, path=AGE))
        after = instance(PatientAge="030Y")
        service.store(after)
        service.owner.delete(f"{service.v2}/{path(before)}")
        add_tags(service, tag("PatientAge"))
        assert len(search(service, "instances", PatientAge="030Y")) == 1

    def test_it_may_come_back_with_another_level(self, service: Service) -> None:
        service.store(instance(PatientAge="030Y"))
        add_tags(service, tag("PatientAge", "Instance"))
        service.owner.delete(tags_url(service, path=AGE))
        add_tags(service, tag("PatientAge", "Study"))
        assert get_tag(service, AGE)["level"] == "study"
        assert len(search(service, "studies", PatientAge="030Y")) == 1

    def test_a_disabled_tag_comes_back_enabled(self, service: Service) -> None:
        add_tags(service, tag("PatientAge"))
        set_query_status(service, AGE, "Disabled")
        service.owner.delete(tags_url(service, path=AGE))
        add_tags(service, tag("PatientAge"))
        assert get_tag(service, AGE)["queryStatus"] == "enabled"

    def test_instances_stay(self, service: Service) -> None:
        file = instance(PatientAge="030Y")
        service.store(file)
        add_tags(service, tag("PatientAge", "Study"))
        service.owner.delete(tags_url(service, path=AGE))
        assert len(search(service, "instances")) == 1


class TestWho:
    @pytest.mark.parametrize(("method", "status"), [("GET", 200), ("GET errors", 200), ("PATCH", 403), ("DELETE", 403)])
    @pytest.mark.parametrize("version", ALL_VERSIONS)
    def test_a_reader_may_look(self, service: Service, version: str, method: str, status: int) -> None:
        add_tags(service, tag("PatientAge"))
        response = ask(service, method, AGE, service.reader, version)
        assert response.status_code == status
        if status == 403:
            assert response.text == "Authorization failed."
        assert paths(service) == [AGE] and get_tag(service, AGE)["queryStatus"] == "enabled"

    @pytest.mark.parametrize("version", ALL_VERSIONS)
    def test_a_reader_may_list_and_add_none(self, service: Service, version: str) -> None:
        assert service.reader.get(tags_url(service, version)).status_code == 200
        response = post_tags(service, tag("PatientAge"), version=version, client=service.reader)
        assert is_text(response, 403) == "Authorization failed."
        assert paths(service) == []

    def test_a_reader_is_told_of_a_bad_request_first_and_of_a_missing_tag_last(self, service: Service) -> None:
        assert post_tags(service, {"Path": "Rows"}, client=service.reader).status_code == 400
        assert post_tags(service, tag("Nonsense"), client=service.reader).status_code == 403
        assert ask(service, "DELETE", "Rows", service.reader).status_code == 403

    @pytest.mark.parametrize("method", METHODS)
    def test_nobody_may_anything(self, service: Service, method: str) -> None:
        response = ask(service, method, AGE, service.nobody)
        assert (response.status_code, response.content) == (401, b"")
        assert post_tags(service, tag("PatientAge"), client=service.nobody).status_code == 401
        assert service.nobody.get(tags_url(service)).status_code == 401

    def test_another_content_type_is_told_before_the_sign_in(self, service: Service) -> None:
        response = service.nobody.post(tags_url(service), data=b"[]", headers={"Content-Type": "text/plain"})
        assert response.status_code == 415

    def test_other_methods_are_405(self, service: Service) -> None:
        assert service.owner.put(tags_url(service), json=[]).status_code == 405
        assert service.owner.put(tags_url(service, path=AGE), json={}).status_code == 405
        assert service.owner.delete(tags_url(service)).status_code == 405
        assert service.owner.post(tags_url(service, path=f"{AGE}/errors"), json=[]).status_code == 405
