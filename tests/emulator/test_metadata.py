"""WADO-RS: metadata as DICOM JSON, with its ETag (conformance statement, Retrieve Metadata; PS3.18 §10.4.1.1.2, §F)."""

import io
import json
from typing import Any

import numpy
import pytest
from pydicom import Dataset, dcmread
from pydicom.datadict import tag_for_keyword

from tests.emulator.conftest import Service
from tests.emulator.dicom_files import fragments, instance, path, uids, with_raw_value

JSON = {"Accept": "application/dicom+json"}
IMPLICIT, EXPLICIT, BIG_ENDIAN, DEFLATED = (
    "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"
)  # fmt: skip

both = pytest.mark.parametrize("version", ["v1", "v2"])
levels = pytest.mark.parametrize("level", ["study", "series", "instance"])


def ask(service: Service, version: str, file: bytes, level: str = "instance", **headers: str) -> Any:
    url = f"{service.url}/{version}/{path(file, level)}/metadata"
    return service.owner.get(url, headers=JSON | {name.replace("_", "-"): value for name, value in headers.items()})


def stored(service: Service, file: bytes, version: str = "v2") -> dict[str, Any]:
    """The metadata of `file` after storing it."""
    assert service.store(file, version=version).status_code in (200, 202)
    [data_set] = ask(service, version, file).json()
    return data_set


class TestBody:
    @both
    @levels
    def test_it_is_an_array_with_one_data_set_for_each_instance(
        self, service: Service, version: str, level: str
    ) -> None:
        first = instance(InstanceNumber="1")
        study, series, _ = uids(first)
        files = [first, instance(StudyInstanceUID=study, SeriesInstanceUID=series), instance(StudyInstanceUID=study)]
        service.store(*files, instance())
        response = ask(service, version, first, level)
        assert response.status_code == 200
        assert response.headers["Content-Type"] == "application/dicom+json; charset=utf-8"
        expected = files[: {"study": 3, "series": 2, "instance": 1}[level]]
        assert isinstance(response.json(), list)
        assert {row["00080018"]["Value"][0] for row in response.json()} == {uids(file)[2] for file in expected}

    @both
    @pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, BIG_ENDIAN, DEFLATED])
    def test_all_attributes_of_the_file_are_there_but_no_file_meta_information(
        self, service: Service, version: str, syntax: str
    ) -> None:
        file = instance(syntax, pixels=numpy.zeros((2, 2), "uint16"), StudyDate="20200922", SeriesNumber="7")
        data_set = stored(service, file, version)
        attributes = {f"{element.tag:08X}" for element in dcmread(io.BytesIO(file))}
        assert set(data_set) == attributes - {"7FE00010"}
        assert not [key for key in data_set if key.startswith("0002")]
        assert data_set["00080020"] == {"vr": "DA", "Value": ["20200922"]}

    @both
    def test_binary_values_are_left_out_at_every_depth_and_not_offered_elsewhere(
        self, service: Service, version: str
    ) -> None:
        binary = {
            0x00420011: "OB", 0x00281201: "OW", 0x00640009: "OF", 0x7FE00009: "OD", 0x00660029: "OL", 0x7FE00001: "OV",
        }  # fmt: skip
        inner = Dataset()
        inner.CodeValue = "T-1"
        outer = Dataset()
        outer.CodeMeaning = "outer"
        outer.ProcedureCodeSequence = [inner]
        data = Dataset()
        data.ProcedureCodeSequence = [outer]
        for data_set in (inner, outer):
            for tag, vr in binary.items():
                data_set.add_new(tag, vr, bytes(8))
            data_set.add_new(0x00091001, "UN", b"unknown.")
        attributes = {"ProcedureCodeSequence": data.ProcedureCodeSequence, "EncapsulatedDocument": bytes(8)}
        file = instance(pixels=fragments(b"a frame."), transfer_syntax="1.2.840.10008.1.2.4.50", **attributes)
        answer = stored(service, file, version)
        assert "00420011" not in answer and "7FE00010" not in answer
        [nested] = answer["00081032"]["Value"]
        assert nested == {
            "00080104": {"vr": "LO", "Value": ["outer"]},
            "00081032": {"vr": "SQ", "Value": [{"00080100": {"vr": "SH", "Value": ["T-1"]}}]},
        }
        assert not {"BulkDataURI", "InlineBinary"} & set(json.dumps(answer).split('"'))

    @both
    def test_private_attributes_of_an_implicit_file_vanish(self, service: Service, version: str) -> None:
        """Without a VR in the file they are UN, and UN is binary. The name of who made them is LO (PS3.5 §7.8.1)."""
        file = instance()
        dataset = dcmread(io.BytesIO(file))
        block = dataset.private_block(0x0011, "TEST", create=True)
        block.add_new(1, "LO", "text")
        explicit, implicit = io.BytesIO(), io.BytesIO()
        dataset.save_as(explicit)
        dataset.file_meta.TransferSyntaxUID, dataset.SOPInstanceUID = IMPLICIT, "1.2.333"
        dataset.save_as(implicit, implicit_vr=True, little_endian=True)
        assert stored(service, explicit.getvalue(), version)["00111001"] == {"vr": "LO", "Value": ["text"]}
        kept = stored(service, implicit.getvalue(), version)
        assert "00111001" not in kept and kept["00080018"]["Value"] == ["1.2.333"]
        assert kept["00110010"] == {"vr": "LO", "Value": ["TEST"]}

    def test_v2_hides_invalid_attributes_and_v1_does_not(self, service: Service) -> None:
        """The version decides that at the time of storing; the file keeps them either way."""
        file = with_raw_value(instance(PatientSex="M"), 0x00100040, b"male!\0")
        other = with_raw_value(file, 0x00080018, b"1.2.333\0")
        assert "00100040" not in stored(service, file, "v2")
        assert "00100040" in stored(service, other, "v1")
        for version in ("v1", "v2"):
            assert "00100040" not in ask(service, version, file).json()[0]
            assert "00100040" in ask(service, version, other).json()[0]
        kept = service.owner.get(f"{service.v2}/{path(file)}", headers={"Accept": "application/dicom"})
        assert kept.content == file

    @both
    @levels
    def test_asking_for_the_original_version_of_what_was_never_updated_changes_nothing(
        self, service: Service, version: str, level: str
    ) -> None:
        file = instance()
        service.store(file)
        current = ask(service, version, file, level)
        original = ask(service, version, file, level, msdicom_request_original="true")
        assert original.status_code == 200
        assert (original.json(), original.headers["ETag"]) == (current.json(), current.headers["ETag"])


class TestDicomJson:
    """How values are written (PS3.18 §F.2, with the service's own habits)."""

    @both
    @pytest.mark.parametrize(
        ("keyword", "value", "written"),
        [
            ("StudyDate", "20200922", '{"vr":"DA","Value":["20200922"]}'),
            ("AccessionNumber", "", '{"vr":"SH"}'),
            ("ProcedureCodeSequence", [], '{"vr":"SQ"}'),
            ("ProcedureCodeSequence", [Dataset()], '{"vr":"SQ","Value":[{}]}'),
            ("OtherPatientIDs", ["A", "", "B"], '{"vr":"LO","Value":["A",null,"B"]}'),
            ("ImageType", ["DERIVED", "SECONDARY"], '{"vr":"CS","Value":["DERIVED","SECONDARY"]}'),
            ("PatientName", "Test^Tess", '{"vr":"PN","Value":[{"Alphabetic":"Test^Tess"}]}'),
            ("PatientName", "Yamada^Tarou=山田^太郎=やまだ^たろう",
             '{"vr":"PN","Value":[{"Alphabetic":"Yamada^Tarou","Ideographic":"山田^太郎","Phonetic":"やまだ^たろう"}]}'),
            ("PatientName", "Wang==WANG", '{"vr":"PN","Value":[{"Alphabetic":"Wang","Phonetic":"WANG"}]}'),
            ("PatientName", "=山田", '{"vr":"PN","Value":[{"Ideographic":"山田"}]}'),
            ("SeriesNumber", "2", '{"vr":"IS","Value":[2]}'),
            ("SeriesNumber", "-07", '{"vr":"IS","Value":[-7]}'),
            ("ReferencedFrameNumber", ["1", "2"], '{"vr":"IS","Value":[1,2]}'),
            ("PatientWeight", "70", '{"vr":"DS","Value":[70]}'),
            ("PatientWeight", "70.50", '{"vr":"DS","Value":[70.50]}'),
            ("PixelSpacing", ["1.0", "0.25"], '{"vr":"DS","Value":[1.0,0.25]}'),
            ("SelectorSVValue", -5_000_000_000, '{"vr":"SV","Value":[-5000000000]}'),
            ("SelectorUVValue", 18446744073709551615, '{"vr":"UV","Value":[18446744073709551615]}'),
            ("SelectorSLValue", -5, '{"vr":"SL","Value":[-5]}'),
            ("SelectorULValue", 4294967295, '{"vr":"UL","Value":[4294967295]}'),
            ("SelectorSSValue", [-5, 5], '{"vr":"SS","Value":[-5,5]}'),
            ("Rows", 979, '{"vr":"US","Value":[979]}'),
            ("SelectorFLValue", 0.5, '{"vr":"FL","Value":[0.5]}'),
            ("SelectorFDValue", float("nan"), '{"vr":"FD","Value":["NaN"]}'),
            ("FrameIncrementPointer", 0x00181065, '{"vr":"AT","Value":["00181065"]}'),
            ("FrameIncrementPointer", [0x00181065, 0x7FE0000A], '{"vr":"AT","Value":["00181065","7FE0000A"]}'),
            ("RetrieveURL", "http://localhost/a?b=c", '{"vr":"UR","Value":["http://localhost/a?b=c"]}'),
            ("PatientComments", "back\\slash", '{"vr":"LT","Value":["back\\\\slash"]}'),
        ],
    )  # fmt: skip
    def test_values(self, service: Service, version: str, keyword: str, value: Any, written: str) -> None:
        """Compared as text where numbers are concerned: `70.50` and `70.5` are the same number."""
        file = instance(**{keyword: value})
        service.store(file)
        response = ask(service, version, file)
        tag = f"{tag_for_keyword(keyword):08X}"
        assert response.json()[0][tag] == json.loads(written)
        as_text = json.loads(response.content, parse_float=str, parse_int=str)
        assert as_text[0][tag] == json.loads(written, parse_float=str, parse_int=str)

    @both
    def test_floating_point_values_lose_nothing(self, service: Service, version: str) -> None:
        data_set = stored(service, instance(SelectorFDValue=[0.1, 1e300], SelectorFLValue=[0.5, -2.25]), version)
        assert data_set["00720074"] == {"vr": "FD", "Value": [0.1, 1e300]}
        assert data_set["00720076"] == {"vr": "FL", "Value": [0.5, -2.25]}

    @both
    def test_a_decimal_that_is_no_number_stays_text(self, service: Service, version: str) -> None:
        """v2 drops it, so it is stored as v1 stores it."""
        file = with_raw_value(instance(PatientWeight="70"), 0x00101030, b"heavy ")
        service.store(file, version="v1")
        weight = ask(service, version, file).json()[0]["00101030"]
        assert weight["vr"] == "DS" and [text.strip() for text in weight["Value"]] == ["heavy"]

    @both
    def test_keys_are_eight_upper_case_hex_digits(self, service: Service, version: str) -> None:
        inner = Dataset()
        inner.CodeValue = "T-1"
        data_set = stored(service, instance(ProcedureCodeSequence=[inner], PresentationLUTShape="IDENTITY"), version)
        keys = list(data_set) + list(data_set["00081032"]["Value"][0])
        assert "20500020" in keys
        assert all(len(key) == 8 and set(key) <= set("0123456789ABCDEF") for key in keys)

    @both
    def test_group_lengths_are_left_out(self, service: Service, version: str) -> None:
        file = instance()
        start = file.index(b"\x08\x00\x05\x00CS")  # the first element of the data set
        group_length = b"\x08\x00\x00\x00UL\x04\x00\x10\x00\x00\x00"
        data_set = stored(service, file[:start] + group_length + file[start:], version)
        assert "00080000" not in data_set and "00080018" in data_set

    @both
    def test_other_character_sets_become_unicode(self, service: Service, version: str) -> None:
        data_set = stored(service, instance(SpecificCharacterSet="ISO_IR 100", PatientName="Müller^Zoë"), version)
        assert data_set["00100010"]["Value"] == [{"Alphabetic": "Müller^Zoë"}]

    @both
    def test_escape_sequences_and_character_sets_of_items_are_understood(self, service: Service, version: str) -> None:
        """PS3.5 §6.1.2.5 and annex H; an item may have a character set of its own."""
        name = "Yamada^Tarou=山田^太郎=やまだ^たろう"
        item = Dataset()
        item.SpecificCharacterSet, item.CodeMeaning = "ISO_IR 192", "Größe"
        other = Dataset()
        other.CodeMeaning = "山"
        attributes = {"PatientName": name, "ProcedureCodeSequence": [item, other]}
        data_set = stored(service, instance(SpecificCharacterSet=["", "ISO 2022 IR 87"], **attributes), version)
        [written] = data_set["00100010"]["Value"]
        assert "=".join(written[group] for group in ("Alphabetic", "Ideographic", "Phonetic")) == name
        items = data_set["00081032"]["Value"]
        assert [item["00080104"]["Value"] for item in items] == [["Größe"], ["山"]]


class TestETag:
    @both
    def test_an_instance_has_its_watermark_and_more_have_the_highest_and_the_count(
        self, service: Service, version: str
    ) -> None:
        first = instance()
        study, series, _ = uids(first)
        second = instance(StudyInstanceUID=study, SeriesInstanceUID=series)
        third = instance(StudyInstanceUID=study)
        for file in (first, second, third):
            service.store(file)
        marks = [int(ask(service, version, file).headers["ETag"]) for file in (first, second, third)]
        assert marks[0] < marks[1] < marks[2]
        assert ask(service, version, first, "series").headers["ETag"] == f"{marks[1]}-2"
        assert ask(service, version, first, "study").headers["ETag"] == f"{marks[2]}-3"
        assert ask(service, version, third, "series").headers["ETag"] == f"{marks[2]}-1"

    @both
    @levels
    def test_if_none_match_with_the_etag_is_304_without_body_and_without_etag(
        self, service: Service, version: str, level: str
    ) -> None:
        file = instance()
        service.store(file)
        etag = ask(service, version, file, level).headers["ETag"]
        response = ask(service, version, file, level, If_None_Match=etag)
        assert (response.status_code, response.content) == (304, b"")
        assert "ETag" not in response.headers

    @both
    @levels
    @pytest.mark.parametrize("value", ['"{0}"', "W/{0}", 'W/"{0}"', "*", "{0}, 1", "1, {0}", "{0}1", "nonsense"])
    def test_anything_else_is_200(self, service: Service, version: str, level: str, value: str) -> None:
        """A quoted tag, as RFC 9110 §8.8.3 has it, never matches the unquoted one of the service."""
        file = instance()
        service.store(file)
        etag = ask(service, version, file, level).headers["ETag"]
        response = ask(service, version, file, level, If_None_Match=value.format(etag))
        assert (response.status_code, len(response.json())) == (200, 1)
        assert response.headers["ETag"] == etag

    @both
    def test_it_changes_when_an_instance_is_added_or_deleted(self, service: Service, version: str) -> None:
        first = instance()
        study, series, _ = uids(first)
        second = instance(StudyInstanceUID=study, SeriesInstanceUID=series)
        service.store(first)
        alone = {level: ask(service, version, first, level).headers["ETag"] for level in ("study", "series")}
        service.store(second)
        pair = {level: ask(service, version, first, level).headers["ETag"] for level in ("study", "series")}
        for level in alone:
            assert ask(service, version, first, level, If_None_Match=alone[level]).status_code == 200
            assert pair[level] != alone[level]
        service.owner.delete(f"{service.v2}/{path(first)}")
        for level in pair:
            after = ask(service, version, second, level, If_None_Match=pair[level])
            assert after.status_code == 200 and after.headers["ETag"] != pair[level]

    @both
    def test_storing_a_deleted_instance_again_gives_it_a_new_one(self, service: Service, version: str) -> None:
        file = instance()
        service.store(file)
        before = ask(service, version, file).headers["ETag"]
        service.owner.delete(f"{service.v2}/{path(file)}")
        service.store(file)
        after = ask(service, version, file, If_None_Match=before)
        assert after.status_code == 200 and int(after.headers["ETag"]) > int(before)


class TestErrors:
    @both
    @levels
    def test_what_is_not_there_is_404_even_with_if_none_match(self, service: Service, version: str, level: str) -> None:
        service.store(instance())
        unknown = instance()
        for headers in ({}, {"If_None_Match": "*"}):
            response = ask(service, version, unknown, level, **headers)
            assert (response.status_code, response.text) == (404, f"The specified {level} cannot be found.")

    @both
    def test_an_instance_is_not_found_under_another_parent(self, service: Service, version: str) -> None:
        one, two = instance(), instance()
        service.store(one, two)
        (study, series, _), (_, _, sop) = uids(one), uids(two)
        url = f"{service.url}/{version}/studies/{study}/series/{series}/instances/{sop}/metadata"
        assert service.owner.get(url, headers=JSON).status_code == 404
