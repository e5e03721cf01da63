"""Work items: what a body may look like, and what is 400, never 500 (conformance statement, UPS-RS; PS3.18 annex F)."""

import json
from typing import Any

import pytest
import requests

from tests.emulator.conftest import Service
from tests.emulator.work import DICOM_JSON, data_set, is_unreadable, value, without, workitem, worklist

REQUESTS = [("POST", "?1.2.4"), ("POST", "/1.2.3"), ("PUT", "/1.2.3/state"), ("POST", "/1.2.3/cancelrequest")]
requests_with_bodies = pytest.mark.parametrize(("method", "path"), REQUESTS)
NESTED = b'{"0040A730":{"vr":"SQ","Value":['


def send(service: Service, method: str, path: str, body: bytes | None, **headers: str | None) -> requests.Response:
    work = worklist(service)
    work.create(uid="1.2.3")
    return work.send(method, path, body, **headers)


def create_with(service: Service, tag: str, attribute: Any) -> requests.Response:
    """POST a work item with one more attribute, as it is."""
    item = {key: given for key, given in workitem().items() if key != tag.upper()} | {tag: attribute}
    return worklist(service).send("POST", "?1.2.4", json.dumps([item]).encode())


def deep(levels: int) -> bytes:
    """A data set with sequences in sequences."""
    return NESTED * levels + b"{}" + b"]}}" * levels


class TestContentType:
    @requests_with_bodies
    @pytest.mark.parametrize(
        "content_type", ["application/json", "text/plain", "application/dicom", "multipart/related", "application/xml"]
    )
    def test_anything_but_dicom_json_is_415(self, service: Service, method: str, path: str, content_type: str) -> None:
        response = send(service, method, path, json.dumps([workitem()]).encode(), content_type=content_type)
        assert (response.status_code, response.content) == (415, b"")

    @requests_with_bodies
    def test_none_is_415(self, service: Service, method: str, path: str) -> None:
        response = send(service, method, path, json.dumps([workitem()]).encode(), content_type=None)
        assert (response.status_code, response.content) == (415, b"")

    @pytest.mark.parametrize("content_type", ["application/dicom+json; charset=utf-8", "Application/DICOM+JSON"])
    def test_parameters_and_case_do_not_matter(self, service: Service, content_type: str) -> None:
        body = json.dumps([workitem()]).encode()
        assert send(service, "POST", "?1.2.4", body, content_type=content_type).status_code == 201


class TestShape:
    @requests_with_bodies
    @pytest.mark.parametrize(
        "body",
        [
            b"", b"  ", b"null", b"1", b'"text"', b"true", b"{}", b"[]", b"[null]", b"[1]", b'["a"]', b"[[]]",
            b"[{},1]", b"[", b"[{]", b"not json", b"[{}", b"[{}] []", b"\xff\xfe", b"[{\"\xff\": 1}]", b"[NaN]",
            b"[{'a': 1}]", b"[1," + b"/" * 200 + b"\nx",
            b'[{"00100010": {"vr": "PN"}, "00100010": {"vr": "PN"}}]',
            b'[{"0020000d": {"vr": "UI"}, "0020000D": {"vr": "UI"}}]',
            b'[{"00100020": {"vr": "LO", "Value": ["\\ud800"]}}]',
            b"[{}, {\"x\": 1}]", b"[" * 100, b"[" * 100_000, b"[" * 100_000 + b"]" * 100_000,
            b"[" + deep(22) + b"]", b"[" + deep(20_000) + b"]",
            b'[{"00200013": {"vr": "IS", "Value": [' + b"9" * 5000 + b"]}}]",
            b"[/*", b"[//", b"[{},,]", b"[{} /* a */ /* b ]",
        ],
        ids=lambda body: repr(body)[2:22],
    )  # fmt: skip
    def test_what_is_no_array_of_data_sets_is_400(self, service: Service, method: str, path: str, body: bytes) -> None:
        assert is_unreadable(send(service, method, path, body))
        assert value(worklist(service).retrieve("1.2.3"), "ProcedureStepState") == "SCHEDULED"

    @requests_with_bodies
    def test_no_body_is_400(self, service: Service, method: str, path: str) -> None:
        response = send(service, method, path, None, Content_Type=DICOM_JSON)
        assert is_unreadable(response)

    def test_the_first_data_set_counts(self, service: Service) -> None:
        work = worklist(service)
        items = [workitem(PatientID="P1"), workitem(PatientID="P2"), {}]
        assert work.send("POST", "?1.2.3", items).status_code == 201
        assert value(work.retrieve("1.2.3"), "PatientID") == "P1" and work.found() == ["1.2.3"]
        bodies = [data_set(ProcedureStepLabel="Knee"), data_set(ProcedureStepLabel="Hip")]
        assert work.send("POST", "/1.2.3", bodies).status_code == 200
        assert value(work.retrieve("1.2.3"), "ProcedureStepLabel") == "Knee"

    @pytest.mark.parametrize(
        ("before", "after"),
        [
            (b"[ // a comment\n", b"]"), (b"/* [ */ [", b", ]"), (b"[", b",\n] // end"), (b"\xef\xbb\xbf[", b"]"),
            (b"[", b", /* and */ ]"), (b"\r\n\t [", b"] \n"),
        ],
    )  # fmt: skip
    def test_comments_a_last_comma_and_a_byte_order_mark_are_forgiven(
        self, service: Service, before: bytes, after: bytes
    ) -> None:
        item = json.dumps(workitem(PatientID="// no, /* not */ a ,] comment")).encode()
        body = before + item[:-1] + b", }" + after
        assert worklist(service).send("POST", "?1.2.3", body).status_code == 201
        assert value(worklist(service).retrieve("1.2.3"), "PatientID") == "// no, /* not */ a ,] comment"

    def test_sequences_may_be_nested_some_levels_deep(self, service: Service) -> None:
        item = json.dumps(without(workitem(), "ContentSequence"))[:-1].encode()
        body = b"[" + item + b', "0040A730": {"vr": "SQ", "Value": [' + deep(19) + b"]}}]"
        work = worklist(service)
        assert work.send("POST", "?1.2.3", body).status_code == 201
        assert json.dumps(work.retrieve("1.2.3")).count("0040A730") == 20
        body = b"[" + item + b', "0040A730": {"vr": "SQ", "Value": [' + deep(20) + b"]}}]"
        response = work.send("POST", "?1.2.4", body)
        assert is_unreadable(response) and response.text.endswith("The data set is nested deeper than 64 levels.")

    def test_the_answer_says_where(self, service: Service) -> None:
        response = create_with(
            service, "00404018", {"vr": "SQ", "Value": [{}, {"00080104": {"vr": "LO", "Value": [1]}}]}
        )
        where = "$[0].00404018.Value[1].00080104.Value[0]"
        text = f"The query parameter '{where}' is invalid. The value does not fit the value representation 'LO'."
        assert is_unreadable(response) and response.text == text.replace("'LO'", "&#x27;LO&#x27;")

    def test_a_body_of_more_than_30_million_bytes_is_413(self, service: Service) -> None:
        response = send(service, "POST", "?1.2.4", b"[]".ljust(30_000_001))
        assert (response.status_code, response.text) == (
            413,
            "The request exceeded the allowed limit of 30000000 bytes.",
        )


class TestAttributes:
    @pytest.mark.parametrize(
        "name", ["PatientID", "0010", "0010,0020", "001000200", "0010002G", "", " 00100020", "٠٠١٠٠٠٢٠"]
    )
    def test_a_name_that_is_no_tag_is_400(self, service: Service, name: str) -> None:
        assert is_unreadable(create_with(service, name, {"vr": "LO"}))

    @pytest.mark.parametrize(
        "attribute",
        [
            None, 1, "LO", [], ["LO"], {}, {"Value": ["x"]}, {"vr": None}, {"vr": 1}, {"vr": []}, {"vr": "XX"},
            {"vr": "lo"}, {"vr": "LOO"}, {"vr": ""}, {"vr": "SQ"}, {"vr": "SQ", "Value": [{}]},
            {"vr": "LO", "Value": "x"}, {"vr": "LO", "Value": {}}, {"vr": "LO", "Value": 1},
            {"vr": "LO", "Value": False}, {"vr": "LO", "Value": ["x"], "InlineBinary": "AAEC"},
            {"vr": "LO", "BulkDataURI": "x", "InlineBinary": "AA=="},
            {"vr": "OB", "InlineBinary": "!"}, {"vr": "OB", "InlineBinary": "AAE"}, {"vr": "OB", "InlineBinary": 1},
            {"vr": "OB", "InlineBinary": None}, {"vr": "OB", "InlineBinary": "é"}, {"vr": "UN", "BulkDataURI": ["x"]},
        ],
        ids=str,
    )  # fmt: skip
    def test_an_attribute_of_another_form_is_400(self, service: Service, attribute: Any) -> None:
        assert is_unreadable(create_with(service, "00101000", attribute))

    def test_a_sequence_is_a_sequence(self, service: Service) -> None:
        assert is_unreadable(create_with(service, "00404018", {"vr": "LO", "Value": ["x"]}))

    @pytest.mark.parametrize(
        ("vr", "wrong"),
        [
            *((vr, wrong) for vr in ("LO", "UI", "DA", "UT", "AE") for wrong in (1, 1.5, True, {}, [], ["x"])),
            *(
                ("PN", wrong)
                for wrong in ("Doe^Jane", 1, [], {"Alphabetic": 1}, {"Alphabetic": None}, {"Phonetic": []})
            ),
            *(("SQ", wrong) for wrong in ("x", 1, [], True)),
            *((vr, wrong) for vr in ("US", "SS", "UL", "SL") for wrong in ("1", 1.5, 2**40, -(2**40), True, {}, [])),
            *(("US", wrong) for wrong in (-1, 65536)),
            *((vr, wrong) for vr in ("SV", "UV") for wrong in ("x", 1.5, 2**64, False, {}, [], "1" * 30)),
            *(("IS", wrong) for wrong in (1.5, 2**31, True, {}, [])),
            *(("DS", wrong) for wrong in (True, {}, [])),
            *((vr, wrong) for vr in ("FL", "FD") for wrong in ("1", "nan", True, {}, [])),
            *(("AT", wrong) for wrong in (1, "0010", "PatientID", {}, [])),
            *((vr, wrong) for vr in ("OB", "UN", "OW") for wrong in ("AAEC", 1, {}, [])),
        ],
    )
    def test_a_value_that_does_not_fit_its_vr_is_400(self, service: Service, vr: str, wrong: Any) -> None:
        assert is_unreadable(create_with(service, "00091001", {"vr": vr, "Value": [None, wrong]}))

    @pytest.mark.parametrize(
        ("vr", "given"),
        [
            ("LO", "x"), ("PN", {"Alphabetic": "A^B", "Ideographic": "C", "Phonetic": "D"}), ("SQ", {}), ("US", 65535),
            ("SS", -32768), ("UL", 2**32 - 1), ("SL", -(2**31)), ("SV", -(2**63)), ("UV", 2**64 - 1), ("UV", "7"),
            ("IS", 7), ("IS", "wide"), ("DS", 1.5), ("DS", "wide"), ("FL", 1.5), ("FD", "NaN"), ("FD", "-Infinity"),
            ("AT", "00100020"), ("LO", "Grüße 🙂 \u0000 \u2028"), ("LT", "a\nb"),
        ],
    )  # fmt: skip
    def test_a_value_that_fits_is_kept(self, service: Service, vr: str, given: Any) -> None:
        assert create_with(service, "00091001", {"vr": vr, "Value": [given]}).status_code == 201
        assert worklist(service).retrieve("1.2.4")["00091001"] == {"vr": vr, "Value": [given]}

    @pytest.mark.parametrize(
        ("number", "as_float"),
        [("1e999999999", 400), ("1e400", 400), ("-1e400", 400), ("9" * 4000, 400), ("1e-999999999", 201)],
    )
    def test_numbers_beyond_measure_do_no_harm(self, service: Service, number: str, as_float: int) -> None:
        for vr, status in (("FD", as_float), ("FL", as_float), ("DS", 201)):
            item = json.dumps(workitem())[:-1] + f', "00091001": {{"vr": "{vr}", "Value": [{number}]}}}}'
            response = worklist(service).send("POST", f"?1.2.{len(vr)}{ord(vr[1])}", f"[{item}]".encode())
            assert response.status_code == status, response.text
        assert all(row["00741000"] for row in worklist(service).search("includefield=all"))

    def test_what_is_not_of_dicom_json_is_left_out(self, service: Service) -> None:
        attribute = {"vr": "LO", "Value": ["x"], "keyword": "PatientAlias", "nested": [[[]]]}
        assert create_with(service, "00101000", attribute).status_code == 201
        assert worklist(service).retrieve("1.2.4")["00101000"] == {"vr": "LO", "Value": ["x"]}

    def test_a_blank_item_is_an_empty_data_set(self, service: Service) -> None:
        assert create_with(service, "00091001", {"vr": "SQ", "Value": [None]}).status_code == 201
        assert worklist(service).retrieve("1.2.4")["00091001"] == {"vr": "SQ", "Value": [{}]}


@pytest.mark.parametrize(
    "attributes",
    [
        {"00081195": {"vr": "US", "Value": [1]}, "00741000": {"vr": "CS", "Value": ["IN PROGRESS"]}},
        {"00081195": {"vr": "UI", "InlineBinary": "AAEC"}, "00741000": {"vr": "US", "Value": [1]}},
        {"00081195": {"vr": "UI", "BulkDataURI": "x"}, "00741000": {"vr": "CS", "BulkDataURI": "x"}},
        {"00081195": {"vr": "UI", "Value": ["1.2"]}, "00741000": {"vr": "PN", "Value": [{"Alphabetic": "COMPLETED"}]}},
    ],
)
def test_odd_attributes_of_a_state_change_change_no_state_and_do_no_harm(
    service: Service, attributes: dict[str, Any]
) -> None:
    response = send(service, "PUT", "/1.2.3/state", json.dumps([attributes]).encode())
    assert response.status_code in {200, 400}, response.text
    assert worklist(service).state("1.2.3") in {"SCHEDULED", "IN PROGRESS"}
