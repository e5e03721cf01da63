"""show_exchange: what is shown, what is masked, and that nothing is lost by looking."""

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from helpers.auth import BearerAuth
from helpers.exchange import NothingRaised, expect, short, show_exchange
from helpers.multipart import MultipartRelatedStream, encode_multipart_related, iter_parts
from tests.helpers.conftest import NumberedTokens, Reply, ScriptedServer

ROOT = "1.2.826.0.1.3680043.8.498."
STUDY = ROOT + "13230779778012324449356534479549187420"
DICOM_JSON = {"Content-Type": "application/dicom+json; charset=utf-8"}
FILE = bytes(128) + b"DICM" + bytes(4000)


@pytest.fixture
def shown(capsys: pytest.CaptureFixture[str]) -> Any:
    """show_exchange's lines."""

    def show(response: requests.Response, **options: Any) -> list[str]:
        capsys.readouterr()
        show_exchange(response, **options)
        return capsys.readouterr().out.splitlines()

    return show


@pytest.fixture
def client() -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    session.auth = BearerAuth(NumberedTokens())
    return session


def answer(server: ScriptedServer, value: Any) -> None:
    server.replies = [Reply(200, DICOM_JSON, json.dumps(value).encode())]


def element(vr: str, *values: Any) -> dict[str, Any]:
    return {"vr": vr, "Value": list(values)} if values else {"vr": vr}


# --------------------------------------------------------------------------------------------------- lines and masks


def test_a_plain_exchange(server: ScriptedServer, client: requests.Session, shown: Any) -> None:
    server.replies = [Reply(204, {"Date": "today", "Server": "x", "X-Frame-Options": "SAMEORIGIN"})]
    response = client.get(f"{server.url}/v2/studies?PatientName=nobody", headers={"Accept": "application/dicom+json"})
    assert shown(response) == [
        "GET /v2/studies?PatientName=nobody → 204 No Content",
        "> Accept: application/dicom+json",
        "> Authorization: Bearer …",
        "< (no body)",
    ]


def test_nothing_that_changes_from_run_to_run(server: ScriptedServer, client: requests.Session, shown: Any) -> None:
    body, content_type = encode_multipart_related([FILE])
    address = f"{server.url}/v2/studies/{STUDY}"
    reply, reply_type = encode_multipart_related([FILE])
    headers = {
        "Content-Type": reply_type.replace('type="application/dicom"; ', ""),
        "ETag": "57-3",
        "WWW-Authenticate": f'Bearer authorization_uri="{server.url}/_emulator/identity", realm="x"',
        "Location": address,
        "Warning": f"299 127.0.0.1:{server.server_port}: text",
        "Set-Cookie": "secret=1",
    }
    server.replies = [Reply(200, headers, reply)]
    response = client.post(
        address, data=body, headers={"Content-Type": content_type, "If-None-Match": "57-3", "Cookie": "secret=1"}
    )
    lines = shown(response)
    text = "\n".join(lines)
    boundaries = (content_type[-32:], reply_type[-32:])
    for hidden in (f":{server.server_port}", "token", "57-3", "secret", STUDY, *boundaries):
        assert hidden not in text, f"{hidden} in\n{text}"
    assert lines == [
        "POST /v2/studies/…187420 → 200 OK",
        "> Accept: */*",
        "> Authorization: Bearer …",
        '> Content-Type: multipart/related; type="application/dicom"; boundary=…',
        "> Cookie: …",
        "> If-None-Match: …",
        "> --… | Content-Type: application/dicom | 128 zero bytes, DICM, … (4.1 kB)",
        "> --…--",
        "< Content-Type: multipart/related; boundary=…",
        "< Location: /v2/studies/…187420",
        "< ETag: …",
        '< WWW-Authenticate: Bearer authorization_uri="/_emulator/identity", realm="x"',
        "< Warning: 299 this machine: text",
        "< --… | Content-Type: application/dicom | 128 zero bytes, DICM, … (4.1 kB)",
        "< --…--",
    ]


def test_413_has_one_name_whatever_python_the_server_runs_on(server: ScriptedServer, shown: Any) -> None:
    server.replies = [Reply(413)]
    assert shown(requests.get(f"{server.url}/v2/studies", timeout=5))[0] == "GET /v2/studies → 413 Content Too Large"


def test_another_machine_is_named(server: ScriptedServer, shown: Any) -> None:
    response = requests.get(server.url, timeout=5)
    response.request.url = "https://example.dicom.azurehealthcareapis.com/v2/changefeed"
    assert shown(response)[0] == "GET https://example.dicom.azurehealthcareapis.com/v2/changefeed → 200 OK"


def test_a_token_in_a_body_is_masked(server: ScriptedServer, shown: Any) -> None:
    token = "eyJhbGciOi.eyJhdWQiOi.c2lnbmVk"
    for content_type in ("text/plain", "application/json"):
        server.replies = [Reply(200, {"Content-Type": content_type}, json.dumps({"access_token": token}).encode())]
        text = "\n".join(shown(requests.get(server.url, timeout=5)))
        assert "eyJ" not in text and "access_token" in text


def test_the_address_of_an_operation_is_masked(server: ScriptedServer, shown: Any) -> None:
    address = f"{server.url}/v2/operations/{'0a' * 16}"
    server.replies = [Reply(202, {"Location": address})]
    assert shown(requests.get(address)) == [
        "GET /v2/operations/… → 202 Accepted",
        "> Accept: */*",
        "< Location: /v2/operations/…",
        "< (no body)",
    ]


def test_quoted_boundaries_are_masked(server: ScriptedServer, shown: Any) -> None:
    server.replies = [Reply(200, {"Content-Type": 'multipart/related; boundary="a b"; type="x/y"'}, b"--a b--")]
    assert '< Content-Type: multipart/related; boundary=…; type="x/y"' in shown(requests.get(server.url, timeout=5))


def test_short_uids() -> None:
    assert short(STUDY) == "…187420"
    assert short("1.2.840.10008.5.1.4.1.1.7") == "1.2.840.10008.5.1.4.1.1.7"
    assert short("1.2.3") == "1.2.3"


def test_a_redirect_and_a_repeated_401_are_shown_first(
    server: ScriptedServer, client: requests.Session, shown: Any
) -> None:
    server.replies = [
        Reply(401, {"WWW-Authenticate": "Bearer"}),
        Reply(200, {"Content-Type": "text/plain"}, b"welcome"),
    ]
    assert shown(client.get(f"{server.url}/v2/changefeed")) == [
        "GET /v2/changefeed → 401 Unauthorized",
        "> Accept: */*",
        "> Authorization: Bearer …",
        "< WWW-Authenticate: Bearer",
        "< (no body)",
        "",
        "GET /v2/changefeed → 200 OK",
        "> Accept: */*",
        "> Authorization: Bearer …",
        "< Content-Type: text/plain",
        "< welcome",
    ]


# ------------------------------------------------------------------------------------------------------------ bodies


def test_text_is_shown_as_it_is(server: ScriptedServer, shown: Any) -> None:
    text = "The specified study cannot be found.\nSecond – line"
    server.replies = [Reply(404, {"Content-Type": "text/plain; charset=utf-8"}, text.encode())]
    assert shown(requests.get(server.url, timeout=5))[-2:] == [
        "< The specified study cannot be found.",
        "< Second – line",
    ]


def test_long_text_is_cut(server: ScriptedServer, shown: Any) -> None:
    server.replies = [Reply(200, {"Content-Type": "text/html"}, b"line\n" * 100)]
    assert shown(requests.get(server.url, timeout=5))[-1] == "< … and 76 more lines"


def test_the_body_can_be_left_out(server: ScriptedServer, shown: Any) -> None:
    server.replies = [Reply(200, {"Content-Type": "application/json"}, b'[{"sequence": 1}]')]
    assert shown(requests.get(server.url, timeout=5), body=False)[-1] == "< (the body is not shown)"


def test_a_file_and_a_frame(server: ScriptedServer, shown: Any) -> None:
    server.replies = [Reply(200, {"Content-Type": "application/dicom"}, FILE)]
    assert shown(requests.get(server.url, timeout=5))[-1] == "< 128 zero bytes, DICM, … (4.1 kB)"
    server.replies = [Reply(200, {"Content-Type": "application/octet-stream"}, b"\xc3" * 2_892_945)]
    assert shown(requests.get(server.url, timeout=5))[-1] == "< c3 c3 c3 c3 c3 c3 c3 c3 … (2.9 MB)"


def test_many_parts_are_counted(server: ScriptedServer, shown: Any) -> None:
    body, content_type = encode_multipart_related([b"x"] * 9)
    server.replies = [Reply(200, {"Content-Type": content_type}, body)]
    assert shown(requests.get(server.url, timeout=5))[-2:] == ["< … and 3 more parts", "< --…--"]


def test_broken_multipart_is_said(server: ScriptedServer, shown: Any) -> None:
    server.replies = [Reply(200, {"Content-Type": "multipart/related; boundary=b"}, b"--b\r\n\r\none\r\n--b\r\n\r\ntw")]
    lines = shown(requests.get(server.url, timeout=5))
    assert lines[-2] == "< --… | 6f 6e 65 (3 bytes)"
    assert lines[-1].startswith("< (not a whole multipart body, 21 bytes: the body stops after 1 whole part")


def test_an_unreadable_multipart_body_prints_the_same_on_each_run(server: ScriptedServer, shown: Any) -> None:
    server.replies = [Reply(200, {"Content-Type": "multipart/related"}, b"--%d\r\n" % number) for number in (12, 34)]
    assert shown(requests.get(server.url, timeout=5)) == shown(requests.get(server.url, timeout=5))


def test_boundaries_that_do_not_match_are_not_shown(server: ScriptedServer, shown: Any) -> None:
    body, _ = encode_multipart_related([b"one"])
    wrong = {"Content-Type": "multipart/related; boundary=other"}
    lines = shown(requests.post(server.url, data=body, headers=wrong, timeout=5))
    why = "its boundary is not the one of the Content-Type"
    assert f"> (not a whole multipart body, {len(body)} bytes: {why})" in lines


def test_an_uploaded_stream_is_listed_not_read(server: ScriptedServer, client: requests.Session, shown: Any) -> None:
    stream = MultipartRelatedStream([FILE, io.BytesIO(bytes(2_500_000))])
    response = client.post(server.url, data=stream, headers={"Content-Type": stream.content_type})
    assert [line for line in shown(response) if line.startswith("> --")] == [
        "> --… | Content-Type: application/dicom | (4.1 kB, read while it was sent)",
        "> --… | Content-Type: application/dicom | (2.5 MB, read while it was sent)",
        "> --…--",
    ]


def test_a_generator_is_gone(server: ScriptedServer, shown: Any) -> None:
    def generator() -> Iterator[bytes]:
        yield b"gone"

    response = requests.post(server.url, data=generator(), timeout=5)
    assert "> (the body was sent as a stream and is not kept)" in shown(response)


def test_a_json_request(server: ScriptedServer, shown: Any) -> None:
    response = requests.post(server.url, json={"a": [1]}, timeout=5)
    assert [line for line in shown(response) if line[2] in ' {}"'] == ["> {", '>   "a": [', ">     1", ">   ]", "> }"]


def test_looking_does_not_read_a_streamed_reply(server: ScriptedServer, shown: Any) -> None:
    body, content_type = encode_multipart_related([b"one", b"two"])
    server.replies = [Reply(200, {"Content-Type": content_type}, [body])]
    response = requests.get(server.url, stream=True, timeout=5)
    assert shown(response)[-1] == "< (the body has not been read yet)"
    assert [part.content for part in iter_parts(response)] == [b"one", b"two"]
    assert shown(response)[-1] == "< (the body was read as a stream and is not kept)"


# --------------------------------------------------------------------------------------------------------- DICOM JSON


def test_reasons_are_spelled_out(server: ScriptedServer, shown: Any) -> None:
    failed = {
        "00081150": element("UI", "1.2.840.10008.5.1.4.1.1.7"),
        "00081155": element("UI", STUDY),
        "00081197": element("US", 45070),
    }
    warned = {
        "00081155": element("UI", "1.2.3"),
        "00081190": element("UR", f"{server.url}/v2/studies/{STUDY}"),
        "00081196": element("US", 1),
        "00741048": element("SQ", {"00000902": element("LO", "DICOM100: (0008,0020) - bad")}),
    }
    answer(server, {"00081199": element("SQ", warned, {"00741048": element("SQ")}), "00081198": element("SQ", failed)})
    assert shown(requests.get(server.url, timeout=5))[-11:] == [
        "< 00081198 FailedSOPSequence: 1 item",
        "<   1: 00081150 ReferencedSOPClassUID: 1.2.840.10008.5.1.4.1.1.7 = Secondary Capture Image Storage",
        "<      00081155 ReferencedSOPInstanceUID: …187420",
        "<      00081197 FailureReason: 45070 = already stored",
        "< 00081199 ReferencedSOPSequence: 2 items",
        "<   1: 00081155 ReferencedSOPInstanceUID: 1.2.3",
        "<      00081190 RetrieveURL: /v2/studies/…187420",
        "<      00081196 WarningReason: 1 = stored, but some attributes are not valid",
        "<      00741048 FailedAttributesSequence: 1 item",
        "<        1: 00000902 ErrorComment: DICOM100: (0008,0020) - bad",
        "<   2: 00741048 FailedAttributesSequence: no items",
    ]


def test_values_of_each_kind(server: ScriptedServer, shown: Any) -> None:
    answer(
        server,
        {
            "00080008": element("CS", "DERIVED", "SECONDARY"),
            "00080050": element("SH"),
            "00081197": element("US", 12345),
            "00091001": element("LO", "private"),
            "00100010": element("PN", {"Alphabetic": "Anony Mous"}, {"Ideographic": "名"}),
            "00200013": element("IS", 2),
            "00280030": element("DS", 1.0, None),
        },
    )
    assert shown(requests.get(server.url, timeout=5))[-7:] == [
        "< 00080008 ImageType: DERIVED\\SECONDARY",
        "< 00080050 AccessionNumber: (empty)",
        "< 00081197 FailureReason: 12345",
        "< 00091001: private",
        "< 00100010 PatientName: Anony Mous\\=名",
        "< 00200013 InstanceNumber: 2",
        "< 00280030 PixelSpacing: 1.0\\null",
    ]


def test_later_data_sets_show_what_differs(server: ScriptedServer, shown: Any) -> None:
    first = {
        "00100020": element("LO", "ID1"),
        "00200013": element("IS", 1),
        "00204000": element("LT", "red"),
        "00080060": element("CS", "OT"),
    }
    second = {"00100020": element("LO", "ID1"), "00200013": element("IS", 2), "00080060": element("CS", "OT")}
    answer(server, [first, second, {"00081197": element("US", 1)}, first, first, first])
    assert shown(requests.get(server.url, timeout=5), attributes=2)[3:] == [
        "< JSON array of 6 data sets",
        "< 1: 00080060 Modality: OT",
        "<    00100020 PatientID: ID1",
        "<    … and 2 more attributes",
        "< 2: 00200013 InstanceNumber: 2",
        "<    00204000 ImageComments: (not there)",
        "<    … and 2 attributes as in 1",
        "< 3: 00081197 FailureReason: 1",
        "<    00100020 PatientID: (not there)",
        "<    00200013 InstanceNumber: (not there)",
        "<    00204000 ImageComments: (not there)",
        "<    00080060 Modality: (not there)",
        "< 4: the same as 1",
        "< … and 2 more data sets",
    ]


def test_long_sequences_are_counted(server: ScriptedServer, shown: Any) -> None:
    answer(server, {"00081199": element("SQ", *({"00081155": element("UI", f"1.{n}")} for n in range(20)))})
    assert shown(requests.get(server.url, timeout=5))[-1] == "<   … and 14 more items"


def test_json_of_the_service_without_its_times_and_identifiers(server: ScriptedServer, shown: Any) -> None:
    value = {
        "timestamp": "2026-11-23T21:03:59.1234567+00:00",
        "operationId": "1c2b3a4d5e6f708192a3b4c5d6e7f809",
        "other": "1c2b3a4d-5e6f-7081-92a3-b4c5d6e7f809",
        "uid": STUDY,
    }
    server.replies = [Reply(200, {"Content-Type": "application/json"}, json.dumps(value).encode())]
    assert shown(requests.get(server.url, timeout=5))[-6:] == [
        "< {",
        '<   "timestamp": "…",',
        '<   "operationId": "…",',
        '<   "other": "…",',
        '<   "uid": "…187420"',
        "< }",
    ]


@pytest.mark.parametrize(("body", "line"), [(b"[]", "< []"), (b"{}", "< {}"), (b"null", "< null"), (b'"x"', '< "x"')])
def test_small_json(server: ScriptedServer, shown: Any, body: bytes, line: str) -> None:
    server.replies = [Reply(200, DICOM_JSON, body)]
    assert shown(requests.get(server.url, timeout=5))[-1] == line


def test_what_is_not_json_is_said(server: ScriptedServer, shown: Any) -> None:
    server.replies = [Reply(200, DICOM_JSON, b"\xff{")]
    assert shown(requests.get(server.url, timeout=5))[-1] == "< (not JSON, though its type says so) ff 7b (2 bytes)"


# ------------------------------------------------------------------------------------------------------------- expect


def test_expect_keeps_the_error(server: ScriptedServer) -> None:
    server.replies = [Reply(409)]
    with expect(requests.HTTPError) as caught:
        requests.get(f"{server.url}/v2/studies/{STUDY}", timeout=5).raise_for_status()
    assert isinstance(caught.value, requests.HTTPError)
    assert caught.message == "409 Client Error: Conflict for url: /v2/studies/…187420"


def test_expect_fails_when_nothing_is_raised() -> None:
    with pytest.raises(NothingRaised, match="should have failed with KeyError or ValueError, but nothing was raised"):
        with expect(KeyError, ValueError):
            pass


def test_expect_lets_other_errors_through() -> None:
    with pytest.raises(ZeroDivisionError):
        with expect(ValueError):
            1 / 0
