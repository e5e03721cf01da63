"""Questions beyond the lessons: where the emulator had to decide, or the service's documentation and code disagree.

Each is asked of both sides, about the tutorial's study alone, which is stored before and deleted afterwards.
"""

import io
import secrets
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pydicom
import requests
from pydicom.uid import ImplicitVRLittleEndian

from azure_check.masks import Masks
from azure_check.service import Service
from helpers.errors import HelperError
from helpers.lesson import DICOM_JSON, TUTORIAL_STUDY
from helpers.multipart import encode_multipart_related
from helpers.session import SAMPLE_DCMS

SERIES = "1.2.826.0.1.3680043.8.498.45787841905473114233124723359129632652"
TRIANGLE = "1.2.826.0.1.3680043.8.498.47359123102728459884412887463296905395"
STUDY_PATH = f"studies/{TUTORIAL_STUDY}"
SERIES_PATH = f"{STUDY_PATH}/series/{SERIES}"
INSTANCE_PATH = f"{SERIES_PATH}/instances/{TRIANGLE}"
NOBODY = f"2.25.{uuid.uuid4().int}"  # a UID that nothing has: it is made anew each time
PIECE = 160  # characters of a text
READABLE = {"", "text/plain", "application/json", "application/dicom+json"}
STAMP = 40  # of the drawings' pixels in a row, every so many are kept


@dataclass
class Probe:
    """A question. `topic` is its row of the table in dicom_emulator/README.md, or the transaction if it has none."""

    topic: str
    question: str
    ask: Callable[["Asker"], str]


@dataclass
class Answer:
    topic: str
    question: str
    emulator: str
    service: str

    @property
    def is_same(self) -> bool:
        return self.emulator == self.service


class Asker:
    """Asks one side. Each method returns the response; `said` puts it in words without what differs on any two runs."""

    def __init__(self, service: Service, masks: Masks) -> None:
        self.service = service
        self.masks = masks

    def send(self, method: str, path: str, accept: str | None = DICOM_JSON, **options: Any) -> requests.Response:
        headers = {"Accept": accept, **options.pop("headers", {})}  # None keeps requests' own out
        url = (
            f"{self.service.url}/{path}"
            if path.startswith(("v1", "v3", "health"))
            else f"{self.service.base_url}/{path}"
        )
        return self.service.client.request(method, url, headers=headers, **options)

    def get(self, path: str, accept: str | None = DICOM_JSON, **options: Any) -> requests.Response:
        return self.send("GET", path, accept, **options)

    def store(self, content: bytes, path: str = "studies", method: str = "POST", **headers: str) -> requests.Response:
        headers = {"Content-Type": "application/dicom"} | {
            name.replace("_", "-"): each for name, each in headers.items()
        }
        return self.send(method, path, data=content, headers=headers)

    def store_samples(self) -> None:
        self.remove()
        body, content_type = encode_multipart_related(sorted(SAMPLE_DCMS.glob("*.dcm")))
        self.store(body, Content_Type=content_type)

    def remove(self) -> None:
        self.send("DELETE", STUDY_PATH)

    def said(self, response: requests.Response, *headers: str) -> str:
        """Status, the `headers` named, and of a text how it begins."""
        parts = [str(response.status_code)]
        parts += [f"{name}: {self.masks.header(name, response.headers.get(name, 'not there'))}" for name in headers]
        content_type = response.headers.get("Content-Type", "").partition(";")[0]
        parts += [content_type] * bool(content_type)
        text = response.text.strip() if content_type in READABLE else ""
        if text:
            parts.append(f"“{self.masks.text(text[:PIECE])}{'…' * (len(text) > PIECE)}”")
        return " · ".join(parts)

    def reasons(self, response: requests.Response) -> str:
        """Of the answer to a store request: status, and the reasons of failures and warnings."""
        if not response.headers.get("Content-Type", "").startswith(DICOM_JSON):
            return self.said(response)
        answer = response.json()
        found = [str(response.status_code)]
        for sequence, reason, word in (
            ("00081198", "00081197", "FailureReason"),
            ("00081199", "00081196", "WarningReason"),
        ):
            items = answer.get(sequence, {}).get("Value", [])
            found += [f"{word} {value}" for item in items for value in item.get(reason, {}).get("Value", [])]
        return " · ".join(found)


def copy_of_triangle(name: str, **changes: Any) -> pydicom.Dataset:
    """A small copy of the red triangle, in its series, with a UID of its own."""
    copy = pydicom.dcmread(SAMPLE_DCMS / "red-triangle.dcm")
    pixels = copy.pixel_array[::STAMP, ::STAMP]
    copy.Rows, copy.Columns, copy.PixelData = *pixels.shape[:2], pixels.tobytes()
    number = int.from_bytes(name.encode(), "big") % 10**12
    copy.SOPInstanceUID = copy.file_meta.MediaStorageSOPInstanceUID = f"2.25.{number}"
    for keyword, value in changes.items():
        setattr(copy, keyword, value)
    return copy


def written(copy: pydicom.Dataset) -> bytes:
    buffer = io.BytesIO()
    copy.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def address_of(copy: pydicom.Dataset) -> str:
    return f"{SERIES_PATH}/instances/{copy.SOPInstanceUID}"


# ----------------------------------------------------------------------------------- questions of more than one request


def preamble(ask: Asker) -> str:
    copy = copy_of_triangle("preamble")
    copy.preamble = b"a preamble".ljust(128, b".")
    content = written(copy)
    ask.store(content)
    back = ask.get(address_of(copy), "application/dicom; transfer-syntax=*").content
    if back == content:
        return "kept, and every other byte"
    return "zeros" if back[:128] == bytes(128) else f"neither kept nor zeros, {len(back):,} of {len(content):,} bytes"


def implicit_vr(ask: Asker) -> str:
    copy = copy_of_triangle("implicit")
    copy.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    buffer = io.BytesIO()
    copy.save_as(buffer, implicit_vr=True, little_endian=True, enforce_file_format=True)
    return ask.reasons(ask.store(buffer.getvalue()))


def no_preamble(ask: Asker) -> str:
    return ask.reasons(ask.store(written(copy_of_triangle("bare"))[132:]))


def line_feeds(ask: Asker) -> str:
    body = b"--b\nContent-Type: application/dicom\n\n" + written(copy_of_triangle("lines")) + b"\n--b--\n"
    return ask.reasons(ask.store(body, Content_Type='multipart/related; type="application/dicom"; boundary=b'))


def same_twice(ask: Asker) -> str:
    content = written(copy_of_triangle("twice"))
    body, content_type = encode_multipart_related([content, content])
    return ask.reasons(ask.store(body, Content_Type=content_type))


def uid_with_zero(ask: Asker) -> str:
    return ask.said(ask.get("studies/1.2.03/metadata"))


def etag(ask: Asker) -> str:
    found = ask.get(f"{INSTANCE_PATH}/metadata").headers.get("ETag", "")
    bare = found.strip('"')
    answers = [
        f"{form} {ask.get(f'{INSTANCE_PATH}/metadata', headers={'If-None-Match': value}).status_code}"
        for form, value in (("without", bare), ("with", f'"{bare}"'), ("weak", f'W/"{bare}"'))
    ]
    return f"{ask.masks.header('ETag', found) or 'no ETag'}; If-None-Match {', '.join(answers)} quotes".replace(
        "weak", "W/ and"
    )


def replaced(ask: Asker) -> str:
    copy = copy_of_triangle("replaced")
    ask.store(written(copy))
    copy.ImageComments = "once more"
    response = ask.store(written(copy), method="PUT")
    events = [ask.get("changefeed/latest?includemetadata=false", "application/json")]
    told = [f"{event.json().get('action')} {event.json().get('state')}" for event in events if event.status_code == 200]
    return " · ".join([ask.reasons(response), *told])


def newest_event(ask: Asker) -> str:
    ask.store(written(copy_of_triangle(f"event {secrets.token_hex(4)}")))
    response = ask.get("changefeed/latest?includemetadata=false", "application/json")
    if response.status_code != 200:
        return ask.said(response)
    event = response.json()
    return f"{event.get('action')} {event.get('state')} · {', '.join(sorted(event))}"


def order_of_rows(ask: Asker) -> str:
    ask.store_samples()
    for name in ("first", "second", "third"):
        ask.store(written(copy_of_triangle(name, InstanceNumber=len(name))))
    response = ask.get(f"{SERIES_PATH}/instances?includefield=InstanceNumber")
    rows = response.json() if response.status_code == 200 else []
    numbers = {written_number(copy_of_triangle(name)): name for name in ("first", "second", "third")}
    found = [numbers.get(row["00080018"]["Value"][0]) for row in rows]
    return ", ".join(name for name in found if name) or str(response.status_code)


def written_number(copy: pydicom.Dataset) -> str:
    return str(copy.SOPInstanceUID)


def without_token(ask: Asker) -> str:
    response = requests.get(f"{ask.service.base_url}/studies", headers={"Accept": DICOM_JSON}, timeout=30)
    # Whose tenant it is, is nobody's business; which parameters there are, is.
    challenge = response.headers.get("WWW-Authenticate", "none")
    parameters = [piece.partition("=")[0].strip() for piece in challenge.split(",")]
    return f"{response.status_code} · {', '.join(parameters)} · body of {len(response.content)} bytes"


def many_audit_headers(ask: Asker) -> str:
    headers = {f"X-MS-AZUREDICOM-AUDIT-{number}": "x" for number in range(11)}
    return ask.said(ask.get(f"{STUDY_PATH}/metadata", headers=headers))


ANY_DICOM = 'multipart/related; type="application/dicom"'
PROBES = [
    Probe(
        "`Accept: */*` on a study or series",
        "Does a study come for `*/*`?",
        lambda ask: ask.said(ask.get(STUDY_PATH, "*/*")),
    ),
    Probe("`Accept: */*` on a study or series", "A series?", lambda ask: ask.said(ask.get(SERIES_PATH, "*/*"))),
    Probe(
        "`Accept: */*` on a study or series",
        "A rendered picture?",
        lambda ask: ask.said(ask.get(f"{INSTANCE_PATH}/rendered", "*/*")),
    ),
    Probe("Accept", "And without any Accept: metadata?", lambda ask: ask.said(ask.get(f"{STUDY_PATH}/metadata", None))),
    Probe("Accept", "A search without any Accept?", lambda ask: ask.said(ask.get(f"{STUDY_PATH}/series", None))),
    Probe(
        "Accept",
        "A rendered picture without any Accept?",
        lambda ask: ask.said(ask.get(f"{INSTANCE_PATH}/rendered", None)),
    ),
    Probe(
        "An `Accept` list that begins with `multipart/related`",
        "Is another range of the list met as well?",
        lambda ask: ask.said(
            ask.get(STUDY_PATH, f"{ANY_DICOM}; transfer-syntax=1.2.3, application/dicom; transfer-syntax=*")
        ),
    ),
    Probe(
        "Accept",
        "Is a study that is not there 404 or 406, if the Accept cannot be met either?",
        lambda ask: ask.said(ask.get(f"studies/{NOBODY}", "image/gif")),
    ),
    Probe("Versions", "What does an unknown version say?", lambda ask: ask.said(ask.get("v3/studies"))),
    Probe(
        "A path without a method",
        "Which status, body and `Allow`?",
        lambda ask: ask.said(ask.send("PATCH", INSTANCE_PATH), "Allow"),
    ),
    Probe("A path without a method", "And `OPTIONS`?", lambda ask: ask.said(ask.send("OPTIONS", "studies"), "Allow")),
    Probe("Sign-in", "Which parameters has the challenge of a 401, and is there a body?", without_token),
    Probe("Characters of a UID", "A letter and a dash?", lambda ask: ask.said(ask.get("studies/1.2.a-b/metadata"))),
    Probe("Characters of a UID", "A component that begins with zero?", uid_with_zero),
    Probe("Characters of a UID", "65 digits?", lambda ask: ask.said(ask.get(f"studies/{'1' * 65}/metadata"))),
    Probe(
        "A file of another study than the path",
        "43264 or 43265?",
        lambda ask: ask.reasons(ask.store(written(copy_of_triangle("elsewhere")), f"studies/{NOBODY}")),
    ),
    Probe(
        "Bare `multipart/related`",
        "Is it taken without a boundary?",
        lambda ask: ask.said(ask.store(b"--b--\r\n", Content_Type="multipart/related")),
    ),
    Probe("Lines of a multipart body that end with LF alone", "Are they taken?", line_feeds),
    Probe(
        "A single part",
        "Is `application/dicom` with a parameter taken?",
        lambda ask: ask.reasons(ask.store(written(copy_of_triangle("param")), Content_Type="application/dicom; a=b")),
    ),
    Probe("Implicit VR files", "Are they stored, and with which warning?", implicit_vr),
    Probe("The preamble of a file", "Is it kept?", preamble),
    Probe("A file without preamble", "Is it stored?", no_preamble),
    Probe("Store", "What becomes of one instance twice in a request?", same_twice),
    Probe("`PUT` of an instance that is there", "Which action and state does the change feed note?", replaced),
    Probe("Change feed", "Capitals, and which properties?", newest_event),
    Probe("Order of search results", "In which order come three instances, stored one after the other?", order_of_rows),
    Probe(
        "`includefield=all` with another field",
        "Is it refused?",
        lambda ask: ask.said(ask.get(f"{STUDY_PATH}/series?includefield=all&includefield=Modality")),
    ),
    Probe(
        "Search",
        "Are the names of parameters looked at letter by letter?",
        lambda ask: ask.said(ask.get(f"{STUDY_PATH}/series?Limit=1")),
    ),
    Probe("Search", "Is `limit=0` refused?", lambda ask: ask.said(ask.get(f"{STUDY_PATH}/series?limit=0"))),
    Probe("Search", "Is `limit=201` refused?", lambda ask: ask.said(ask.get(f"{STUDY_PATH}/series?limit=201"))),
    Probe("`ETag`", "Are there quotes, and does it match with and without?", etag),
    Probe("Audit headers", "Are eleven refused?", many_audit_headers),
    Probe(
        "Bulk update",
        "Is it there in v1?",
        lambda ask: ask.said(
            ask.send("POST", "v1/studies/$bulkUpdate", json={"studyInstanceUids": [NOBODY], "changeDataset": {}})
        ),
    ),
    Probe("Delete", "A study that is not there?", lambda ask: ask.said(ask.send("DELETE", f"studies/{NOBODY}"))),
    Probe(
        "Update of an unknown work item",
        "400 or 404?",
        lambda ask: ask.said(
            ask.send("POST", f"workitems/{NOBODY}", data=b"[{}]", headers={"Content-Type": DICOM_JSON})
        ),
    ),
    Probe("Work items", "The state of an unknown one?", lambda ask: ask.said(ask.get(f"workitems/{NOBODY}"))),
    Probe(
        "Work items",
        "Is `?workitem=1.2.3` a UID?",
        lambda ask: ask.said(
            ask.send("POST", "workitems?workitem=1.2.3", data=b"[{}]", headers={"Content-Type": DICOM_JSON})
        ),
    ),
    Probe(
        "Operations",
        "An unknown one?",
        lambda ask: ask.said(ask.get("operations/00000000000000000000000000000001", "application/json")),
    ),
    Probe(
        "Extended query tags",
        "An unknown one?",
        lambda ask: ask.said(ask.get("extendedquerytags/00181012", "application/json")),
    ),
    Probe("OpenAPI", "Is there a description?", lambda ask: str(ask.get("api.yaml", "*/*").status_code)),
    Probe("Health", "What does it say?", lambda ask: ask.said(ask.get("health/check", "application/json"))),
    Probe(
        "The head of a request",
        "Is a path of 9,000 bytes 414?",
        lambda ask: str(ask.get(f"studies?PatientID={'x' * 9000}").status_code),
    ),
]


def ask_both(emulator: Asker, service: Asker) -> Iterator[Answer]:
    """Each probe on both sides, one after the other."""
    for asker in (emulator, service):
        asker.store_samples()
    try:
        for probe in PROBES:
            yield Answer(probe.topic, probe.question, *(attempt(probe, asker) for asker in (emulator, service)))
    finally:
        for asker in (emulator, service):
            asker.remove()


def attempt(probe: Probe, asker: Asker) -> str:
    """The answer; one that cannot be understood is a finding, too."""
    try:
        return asker.masks.text(probe.ask(asker))
    except (
        HelperError,
        requests.RequestException,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        IndexError,
    ) as problem:
        return f"could not be asked: {type(problem).__name__}"
