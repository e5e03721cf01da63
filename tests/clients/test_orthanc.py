"""A second opinion: the same requests about the same files to Orthanc and to the emulator, every difference explained.

Each comparison yields sentences, one for each difference, that begin with the name of the comparison. `DIFFERENCES`
explains them. A sentence that no row explains is a failure, and so is a row that explains nothing any more.
"""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from pydicom import dcmread

import dicom_emulator
import run
from tests.clients import orthanc
from tests.clients.comparisons import (
    FRAMES,
    PARTS,
    Comparison,
    Pair,
    as_stored,
    deleting,
    frames,
    fresh,
    metadata,
    pages,
    parts,
    rendered,
    search,
    sent,
    status,
    storing,
    transcoded,
)
from tests.emulator.dicom_files import instance, multipart
from tests.emulator.pictures import EXPLICIT, is_dicom, is_image, place, storable
from tests.emulator.storing import DICOM_JSON
from tests.emulator.test_readme import rows as rows_of_readme
from tests.emulator.test_store_bytes import FOLDER, bundled_files
from tests.notebooks import store

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")

SAMPLES = Path(__file__).parents[2] / "sample_dcms"
FILES = {file.relative_to(FOLDER).as_posix(): file for file in bundled_files() if is_dicom(file)}
FILES |= {file.name: file for file in sorted(SAMPLES.glob("*.dcm"))}
NOT_IN_ORTHANC = {"test_files/SC_rgb_jpeg.dcm"}  # the comparison of storing it says why
NOT_DECODED = {"JPEG-lossy.dcm", "JPGExtended.dcm", "JPEG2000-embedded-sequence-delimiter.dcm"}
BOTH_HAVE = [name for name in FILES if name not in NOT_IN_ORTHANC]
IMAGES = [name for name in BOTH_HAVE if is_image(FILES[name].read_bytes())]
JP2 = 'multipart/related; type="image/jp2"'


class Difference(NamedTuple):
    """A row of the README's table, and patterns of the sentences that it explains."""

    what: str
    orthanc: str
    emulator: str
    why: str
    signs: tuple[str, ...]


DIFFERENCES = [
    # Search
    Difference(
        "Search that finds nothing", "200, `[]`", "204",
        "Azure: conformance statement, Search. Editions of PS3.18 have either",
        (r"search .*: 200 and 204",),
    ),
    Difference(
        "`*` and `?` in a value; lists of UIDs", "wildcards; any of the list", "taken literally",
        "Azure: conformance statement, Search",
        (r"search .*PatientName=Compressed\*: Orthanc finds more", r"search .*PatientID=1CT\?: Orthanc finds more",
         r"search .*=\{study\},\{ct\}: Orthanc finds more"),
    ),
    Difference(
        "`fuzzymatching=true`", "ignored", "beginnings of words",
        "Azure: conformance statement, Search; for others it is optional (PS3.18 §8.3.4.2)",
        (r"search .*fuzzymatching=true: the emulator finds more",),
    ),
    Difference(
        "A value with percent-encoded characters, `%5E` for `^`", "finds nothing", "finds it",
        "Bug of Orthanc: it does not decode the value",
        (r"search .*%5ECT1: the emulator finds more",),
    ),
    Difference(
        "A date range without a beginning", "also finds studies without a date", "finds studies of that time",
        "Bug of Orthanc: what is not there is not in the range (PS3.4 §C.2.2.2.5)",
        (r"search .*StudyDate=-20040119: Orthanc finds more",),
    ),
    Difference(
        "A study with the date `1997.04.24`", "found by a range around it", "not found",
        "Azure: v2 leaves invalid attributes out of the index; conformance statement, Store",
        (r"search .*StudyDate=18000101-20040119: Orthanc finds more",),
    ),
    Difference(
        "A date that is none, a range that ends before it begins", "200", "400",
        "Azure: conformance statement, Search",
        (r"search .*StudyDate=2004: 200 and 400", r"search .*StudyDate=20041231-20040101: 200 and 400"),
    ),
    Difference(
        "`limit` of 0 or more than 200", "200; 0 is no limit", "400",
        "Azure: conformance statement, Search",
        (r"search .*limit=0: 200 and 400", r"search .*limit=201: 200 and 400"),
    ),
    Difference(
        "`limit` or `offset` below 0", "500", "400",
        "Bug of Orthanc",
        (r"search .*limit=-1: 500 and 400", r"search .*offset=-1: 500 and 400"),
    ),
    Difference(
        "An attribute that is unknown, not searchable here, empty or named twice",
        "ignored, or looked for in the files", "400",
        "Azure: conformance statement, Search",
        (r"search .*\?PatientID=: 200 and 400", r"search .*Nonsense(=1)?: 200 and 400",
         r"search .*patientid=1CT1: 200 and 400", r"search .*PatientSex=M: 200 and 400",
         r"search .*SOPInstanceUID=1\.2\.3: 200 and 400", r"search .*1CT1&PatientID=4MR1: 200 and 400",
         r"search .*/series\?(PatientID|StudyInstanceUID)=.*: 200 and 400"),
    ),
    Difference(
        "Attributes of a row of a search", "those of PS3.18 §10.6.3.3", "fewer, and some others",
        "Azure: v2 has its own set; conformance statement, Search",
        (r"search .*: Orthanc returns more attributes", r"search .*: the emulator returns more attributes"),
    ),
    Difference(
        "`includefield=NumberOfStudyRelatedSeries`", "there", "not there",
        "Azure computes it nowhere: conformance statement, Search",
        (r"search .*: the emulator lacks 00201206",),
    ),
    Difference(
        "`SpecificCharacterSet` in a row of a search", "`ISO_IR 192`, whatever the file says", "that of the file",
        "Azure copies it from the file, though its JSON is UTF-8",
        (r"search .*: SpecificCharacterSet differs: .*ISO_IR 192.*",),
    ),
    # Metadata
    Difference(
        "Binary attributes in metadata", "a `BulkDataURI`", "not there",
        "Azure: conformance statement, Retrieve",
        (r"metadata .* \((OB|OW)\) only in Orthanc", r"metadata .* \(OF\) only in Orthanc",
         r"metadata .* \(UN\) only in Orthanc"),
    ),
    Difference(
        "A private creator that the file calls UN", "read as LO", "not there, being binary",
        "The standard lets a reader do either (PS3.5 §6.2.2)",
        (r"metadata test_files/J2K_pixelrep_mismatch.dcm: 00[01]900\d\d \(LO\) only in Orthanc",),
    ),
    Difference(
        "Attributes with an invalid value, and an empty PatientID", "in the metadata", "not there",
        "Azure: v2 leaves them out; conformance statement, Store",
        (r"metadata .*: 00080020 \(DA\) only in Orthanc", r"metadata .*: 00080030 \(TM\) only in Orthanc",
         r"metadata .*: 00280008 \(IS\) only in Orthanc", r"metadata .*: 00100020 \(LO\) only in Orthanc"),
    ),
    Difference(
        "Offsets in a DICOMDIR", "not there", "there",
        "Peculiar to Orthanc: DCMTK counts them as no values of the file",
        (r"metadata .*/DICOMDIR.*: (00041220\.)?0004(1200|1202|1400|1420|1504) \(UL\) only in the emulator",),
    ),
    Difference(
        "Japanese names with escape sequences", "the escaped bytes", "the characters",
        "Bug of Orthanc (PS3.5 §6.1.2.5)",
        (r"metadata charset_files/chr(H32|JapMulti.*|SQ.*)\.dcm: .*\((PN|LT)\) differs",
         r"search .*: PatientName differs: .*(;3ED\^B@O:|\$B\$d\$\^\$@).*"),
    ),
    Difference(
        "A first, empty value of SpecificCharacterSet", "not there", "`null`",
        "Bug of Orthanc: every value has its place (PS3.18 §F.2)",
        (r"metadata charset_files/.*: 00080005 \(CS\) differs",),
    ),
    Difference(
        "Several values of CS or DS where the character set is ISO_IR 13", "one, with `¥` for the backslash",
        "several",
        "Bug of Orthanc: the code between values is the backslash's in any character set (PS3.5 §6.1.2.5.3)",
        (r"metadata test_files/J2K_pixelrep_mismatch.dcm: .* \(CS\) differs",
         r"metadata test_files/J2K_pixelrep_mismatch.dcm: .* \(DS\) differs"),
    ),
    Difference(
        "A backslash in UT", "the text ends there", "part of the text",
        "Bug of Orthanc: UT has one value (PS3.5 §6.2)",
        (r"metadata .*examples_ybr_color\.dcm: 00191050 \(UT\) differs",),
    ),
    Difference(
        "FL that is next to nothing, such as 1e-29 or -0.0", "`0`", "the number",
        "Bug of Orthanc",
        (r"metadata .*/dicomdirtests/.*: (0027104[56]|00431041|00451002) \(FL\) differs",),
    ),
    # Store
    Difference(
        "A file with invalid attributes, an empty PatientID or implicit VR", "200", "202 and a WarningReason",
        "Azure: conformance statement, Store",
        (r"store .*/(ExplVR_BigEnd|MR_small_implicit|SC_jpeg_no_color_transform(_2)?|SC_rgb_jpeg_(app14_)?dcmd|badVR"
         r"|empty_charset_LEI|image_dfl|meta_missing_tsyntax|(nested_)?priv_SQ|no_meta_group_length|reportsi.*|rtdose.*"
         r"|rtplan|rtstruct|test-SR)\.dcm: 200 and 202", r"store .*/DICOMDIR-implicit: 200 and 202"),
    ),
    Difference(
        "A file that says JPEG and names no VR", "refused", "stored as it is",
        "The standard forbids such files (PS3.5 §A.4); the emulator reads them as pydicom does",
        (r"store test_files/SC_rgb_jpeg\.dcm: 400 and 202", r"store test_files/SC_rgb_jpeg\.dcm: 0 and 1 stored",
         r"search instances\?limit=200.*: the emulator finds more"),
    ),
    Difference(
        "`RetrieveURL` of the study in the answer to a store", "always", "where the path names the study",
        "Azure: conformance statement, Store",
        (r"(store|new) ?.*: the study's address is there and not there",),
    ),
    Difference(
        "An instance that is there already", "200, as if stored", "409, FailureReason 45070",
        "Azure: conformance statement, Store",
        (r"new: again: 200 and 409", r"new: again: 1 and 0 stored", r"new: again: 0 and 1 failed"),
    ),
    Difference(
        "A file without PatientID", "stored", "409, FailureReason 43264",
        "Azure: conformance statement, Store",
        (r"new: a file without PatientID: 200 and 409", r"new: a file without PatientID: 1 and 0 stored",
         r"new: a file without PatientID: 0 and 1 failed"),
    ),
    Difference(
        "A part that cannot be stored", "400; other parts are stored, and some failures are not listed",
        "409, or 202 if another part is stored; each failure is listed",
        "As PS3.18 §10.5.3 and Azure say",
        (r"new: (no DICOM|an empty part|a file without S.*): 400 and 409", r"new: no DICOM, and a file: 400 and 202",
         r"new: (no DICOM.*|an empty part|a file without SOP.*): 0 and 1 failed"),
    ),
    Difference(
        "FailureReason", "272 or 49152", "43264",
        "Azure: conformance statement, Store",
        (r"new: below another study: because of \[272\] and \[43264\]",
         r"new: a file without SeriesInstanceUID: because of \[49152\] and \[43264\]"),
    ),
    Difference(
        "A multipart request without parts", "200", "204",
        "Azure: conformance statement, Store",
        (r"new: no part: 200 and 204",),
    ),
    Difference(
        "A multipart request that ends early", "200; nothing is stored", "400",
        "Bug of Orthanc: it loses files without a word",
        (r"new: a body cut off: 200 and 400",),
    ),
    Difference(
        "`application/dicom` alone, or `multipart/related` without `type`", "415", "200",
        "Azure: conformance statement, Store",
        (r"new: one file alone: 415 and 200", r"new: no type of the parts: 415 and 200"),
    ),
    Difference(
        "`PUT`, `DELETE`", "405", "200; 204, 404 or 400",
        "Azure: the standard has no such transactions",
        (r"new: PUT: 405 and 200", r"delete what is there: \w+: 405 and 204", r"delete studies/1\.2\.3: 405 and 404",
         r"delete studies/abc: 405 and 400"),
    ),
    # Retrieve
    Difference(
        "No `Accept`", "the default type", "406",
        "Azure: conformance statement, Retrieve, Search, Store",
        (r"accept None for .*: 200 and 406", r"new: accept None: 200 and 406"),
    ),
    Difference(
        "`*/*` for a rendered picture", "JPEG", "406",
        "Azure: conformance statement, Retrieve",
        (r"accept \*/\* for .*/rendered: 200 and 406",),
    ),
    Difference(
        "An `Accept` that cannot be met", "400, or JSON all the same", "406",
        "As PS3.18 §8.5 says",
        (r"accept (text/html|application/dicom|image/.*) for .*: 400 and 406",
         r"accept text/html for studies: 200 and 406", r"new: accept text/html: 200 and 406"),
    ),
    Difference(
        "Metadata in XML", "200", "406",
        "Azure has JSON only: conformance statement, Retrieve",
        (r"accept .*xml\" for .*/metadata: 200 and 406",),
    ),
    Difference(
        "One instance or one frame, not in parts", "400", "200",
        "Azure: conformance statement, Retrieve",
        (r"accept application/dicom for \{ct_instance\}: 400 and 200",
         r"accept application/octet-stream for .*/frames/1: 400 and 200"),
    ),
    Difference(
        "Several instances in a transfer syntax of the client's choice", "200", "406",
        "Azure: conformance statement, Retrieve",
        (r"parts of several, transcoded: 200 and 406",),
    ),
    Difference(
        "`type` in the Content-Type of an answer in parts", "there", "not there",
        "Azure leaves it out, though RFC 2387 wants it",
        (r"stored .*: the type of the parts is named and not named",),
    ),
    Difference(
        "`transfer-syntax` in the Content-Type of a part", "not there", "that of the file",
        "As PS3.18 §8.7.3.5.2 and Azure say",
        (r"stored .*: a part is application/dicom and application/dicom; transfer-syntax=its own",),
    ),
    Difference(
        "Media type of a compressed frame, at `transfer-syntax=*`", "that of its codec, such as `image/jpeg`",
        "`application/octet-stream`",
        "Azure: conformance statement, Retrieve. The bytes are the same",
        (r"frames .*: a frame is image/[\w-]+ and application/octet-stream",),
    ),
    Difference(
        "Malformed UID", "404", "400",
        "Azure: conformance statement, Retrieve",
        (r"absent studies/abc: 404 and 400",),
    ),
    Difference(
        "A frame number behind the last", "400", "404",
        "Azure: conformance statement, Retrieve",
        (r"absent .*/frames/2(/rendered)?: 400 and 404",),
    ),
    # Pixels
    Difference(
        "JPEG 2000, to or from", "500, or 400 for a picture", "200",
        "Debian's Orthanc has no codec for it",
        (r"JPEG 2000 for .*: 500 and 200", r"accept .*jp2\" for .*: 500 and 200",
         r"(transcoded|native frames) .*: 500 and 200",
         r"(rendered|windowed) .*(693_J2KI|GDCMJ2K_TextGBR|J2K_pixelrep_mismatch|JPEG2000|MR_small_jp2klossless"
         r"|SC_rgb_gdcm_KY|examples_jpeg2k)\.dcm: 400 and 200"),
    ),
    Difference(
        "JPEG with 12 bits", "decoded", "406",
        "No codec here reads it; Azure does not promise it: conformance statement, Retrieve",
        (r"(transcoded|native frames|rendered) .*(JPEG-lossy|JPGExtended)\.dcm: 200 and 406",),
    ),
    Difference(
        "An image that nobody can decode", "500, or 400 for a picture", "406",
        "Azure: conformance statement, Retrieve",
        (r"(transcoded|native frames) .*embedded-sequence-delimiter\.dcm: 500 and 406",
         r"rendered .*(embedded-sequence-delimiter|badVR)\.dcm: 400 and 406"),
    ),
    Difference(
        "A transfer syntax that is not offered, such as JPEG baseline", "500", "406",
        "As PS3.18 §8.5 and Azure say",
        (r"JPEG baseline for .*: 500 and 406",),
    ),
    Difference(
        "Frames as stored, of a file in big endian or deflated", "500", "200",
        "Bug of Orthanc",
        (r"frames .*(BigEnd|bigendian|big_endian|expb|expb_1frame|dfl)\.dcm: 500 and 200",),
    ),
    Difference(
        "Frames of an uncompressed YBR_FULL_422 image, or where NumberOfFrames is `1A`", "400", "200",
        "Bug of Orthanc; a number that is none counts as 1 in the emulator",
        (r"(native )?frames .*SC_ybr_full_422_uncompressed\.dcm: 400 and 200",
         r"(native )?frames .*badVR\.dcm: 400 and 200"),
    ),
    Difference(
        "Samples of 32 bits in big endian", "the 16-bit words of OW are swapped, each in itself",
        "the four bytes of a sample are reversed",
        "By its letter PS3.5 §6.2 is with Orthanc. pydicom writes and reads as the emulator does, and only so is "
        "`rtdose_expb.dcm` the same image as `rtdose.dcm`",
        (r"transcoded .*rtdose_expb(_1frame)?\.dcm: the samples differ",
         r"native frames .*rtdose_expb(_1frame)?\.dcm: the bytes differ"),
    ),
    Difference(
        "A picture of an image with a window", "the window only if the request names it", "always the first window",
        "Decided as Azure does. With the window in the request, both pictures are equal to the last bit",
        (r"rendered .*/(MR_small.*|examples_overlay\.dcm|(77654033|9889200[13])/.*): the pictures differ",),
    ),
    Difference(
        "A picture of 32-bit samples, colour of 16 bits, or YBR_FULL_422", "400 or 500", "200",
        "Orthanc draws no such images",
        (r"rendered .*SC_rgb_rle_(16|32)bit(_2frame)?\.dcm: 400 and 200",
         r"rendered .*SC_ybr_full_422_uncompressed\.dcm: 400 and 200",
         r"rendered .*rtdose(_expb)?(_1frame)?\.dcm: 400 and 200",
         r"rendered .*rtdose_rle(_1frame)?\.dcm: 500 and 200"),
    ),
]  # fmt: skip


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """For what is stored by the way."""
    with orthanc.running(tmp_path_factory.mktemp("orthanc")) as url, dicom_emulator.running(sign_in=False) as server:
        yield Pair(url, f"{server.url}/v2")


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Both hold every file that comes with pydicom, and the samples of the lessons."""
    with orthanc.running(tmp_path_factory.mktemp("orthanc")) as url, dicom_emulator.running(sign_in=False) as server:
        pair = Pair(url, f"{server.url}/v2", with_uids_of_their_own({name: storable(FILES[name]) for name in FILES}))
        for name, file in pair.files.items():
            pair.replies[name] = pair.store(*multipart(file))
        yield pair


def with_uids_of_their_own(files: dict[str, bytes]) -> dict[str, bytes]:
    """Many are the same instance in other transfer syntaxes; these get another SOP Instance UID of the same length."""
    taken: set[str] = set()
    for name, file in files.items():
        uid = free = place(file).split("/")[-1]
        number = 0
        while free in taken:
            number += 1
            free = f"{uid[:-3]}{number:03}" if uid[-4] != "." else f"{uid[:-3]}{number + 900}"
        taken.add(free)
        files[name] = file.replace(uid.encode(), free.encode())
    return files


# ---- the comparisons -------------------------------------------------------------------------------------------------

FIND = [
    "studies?limit=200",
    "series?limit=200",
    "instances?limit=200&includefield=00080018",
    "studies?PatientID=1CT1",
    "studies?00100020=1CT1",
    "studies?PatientID=1ct1",
    "studies?PatientID=nobody",
    "studies?PatientName=anonymized",
    "studies?PatientName=CompressedSamples%5ECT1",
    "studies?PatientName=Compressed*",
    "studies?PatientName=Compressed&fuzzymatching=true",
    "studies?PatientID=1CT?",
    "studies?AccessionNumber=1",
    "studies?StudyDescription=Brain",
    "studies?ReferringPhysicianName=2721",
    "studies?StudyInstanceUID={study}",
    "studies?StudyInstanceUID={study},{ct}",
    "studies?StudyDate=20040119",
    "studies?StudyDate=20040101-20041231",
    "studies?StudyDate=20040101-",
    "studies?StudyDate=20040119-",
    "studies?StudyDate=20040119-20040119",
    "studies?StudyDate=20010101-20040826",
    "studies?StudyDate=-20040119",
    "studies?StudyDate=18000101-20040119",
    "studies?StudyDate=2004",
    "studies?StudyDate=20041231-20040101",
    "studies?PatientBirthDate=19600101-19701231",
    "studies?ModalitiesInStudy=MR",
    "studies?ModalitiesInStudy=CT",
    "studies?PatientID=1CT1&StudyDate=20040119",
    "studies?PatientID=1CT1&StudyDate=20040120",
    "series?Modality=MR&limit=200",
    "series?PatientID=4MR1",
    "series?SeriesInstanceUID={series}",
    "series?PerformedProcedureStepStartDate=19970101-",
    "instances?Modality=MR&limit=200",
    "instances?PatientID=4MR1",
    "instances?SOPInstanceUID={instance}",
    "studies/{study}/series",
    "studies/{study}/instances",
    "studies/{study}/series/{series}/instances",
    "studies/{study}/series?Modality=MR",
    "studies/{study}/instances?SOPInstanceUID={instance}",
    "studies/1.2.3/series",
    "studies/1.2.3/instances",
    "studies/{study}/instances?offset=20",
    "studies?limit=0",
    "studies?limit=201",
    "studies?limit=-1",
    "studies?limit=many",
    "studies?offset=-1",
    "studies?PatientID=",
    "studies?Nonsense=1",
    "studies?patientid=1CT1",
    "studies?PatientSex=M",
    "studies?SOPInstanceUID=1.2.3",
    "studies?PatientID=1CT1&PatientID=4MR1",
    "studies?PatientID=1CT1&includefield=Nonsense",
    "studies/{study}/series?PatientID=4MR1",
    "studies/{study}/series?StudyInstanceUID={study}",
]
INCLUDE = {
    "studies?PatientID=1CT1&includefield=PatientSex": ["00100040"],
    "studies?PatientID=1CT1&includefield=00100040": ["00100040"],
    "studies?PatientID=1CT1&includefield=PatientSex,StudyTime": ["00100040", "00080030"],
    "studies?PatientID=1CT1&includefield=ModalitiesInStudy": ["00080061"],
    "studies?PatientID=1CT1&includefield=NumberOfStudyRelatedInstances": ["00201208"],
    "studies?PatientID=1CT1&includefield=NumberOfStudyRelatedSeries": ["00201206"],
    "studies?PatientID=1CT1&includefield=all": ["00100040", "00080030"],
    "series?PatientID=1CT1&includefield=ManufacturerModelName": ["00081090"],
    "series?PatientID=4MR1&includefield=NumberOfSeriesRelatedInstances": ["00201209"],
    "instances?PatientID=1CT1&includefield=Rows&includefield=Columns": ["00280010", "00280011"],
    "instances?PatientID=4MR1&includefield=all": ["00280010", "00280011"],
}
ACCEPT = {
    "studies/{ct}": [f"{PARTS}; transfer-syntax=*", PARTS, "*/*", None, "text/html", "application/dicom"],
    "{ct_instance}": [f"{PARTS}; transfer-syntax=*", PARTS, "*/*", None, "text/html", "application/dicom"],
    "{ct_instance}/frames/1": [FRAMES, "*/*", None, "text/html", "application/octet-stream", JP2],
    "{ct_instance}/rendered": ["image/jpeg", "image/png", None, "*/*", "image/gif", "image/jpeg, image/png"],
    "{ct_instance}/metadata": [
        DICOM_JSON, "application/json", "*/*", None, "text/html", 'multipart/related; type="application/dicom+xml"',
    ],
    "studies": [DICOM_JSON, "application/json", "*/*", None, "text/html"],
}  # fmt: skip
SYNTAXES = {"JPEG 2000": "1.2.840.10008.1.2.4.90", "JPEG baseline": "1.2.840.10008.1.2.4.50"}
ABSENT = {
    "studies/1.2.3": PARTS,
    "studies/1.2.3/series/1.2": PARTS,
    "studies/{study}/series/1.2": PARTS,
    "studies/{study}/series/{series}/instances/1.2": PARTS,
    "studies/{ct}/series/{series}/instances/{instance}": PARTS,
    "studies/1.2.3/metadata": DICOM_JSON,
    "studies/abc": PARTS,
    "nonsense": DICOM_JSON,
    "{ct_instance}/frames/2": FRAMES,
    "{ct_instance}/frames/0": FRAMES,
    "{ct_instance}/frames/-1": FRAMES,
    "{ct_instance}/frames/one": FRAMES,
    "{ct_instance}/frames/2/rendered": "image/jpeg",
    "{ct_instance}/rendered?quality=101": "image/jpeg",
    "{ct_instance}/rendered?quality=0": "image/jpeg",
}

COMPARISONS: dict[str, Comparison] = {f"search {target}": search(target) for target in FIND}
COMPARISONS |= {f"search {target}": search(target, *asked) for target, asked in INCLUDE.items()}
COMPARISONS |= {f"pages of {what} by {size}": pages(what, size) for what in ("studies", "series") for size in (7, 30)}
COMPARISONS |= {
    f"accept {accept} for {target}": status(target, accept) for target, accepts in ACCEPT.items() for accept in accepts
}
COMPARISONS |= {
    f"{name} for {target}": status(target, f"{PARTS}; transfer-syntax={syntax}")
    for name, syntax in SYNTAXES.items()
    for target in ("studies/{ct}", "{ct_instance}")
}
COMPARISONS |= {f"absent {target}": status(target, accept) for target, accept in ABSENT.items()}
COMPARISONS |= {
    f"parts of {target}": parts(target)
    for target in ("studies/{study}", "studies/{study}/series/{series}", "studies/{ct}")
}
COMPARISONS["parts of several, transcoded"] = parts("studies/{study}", "")
COMPARISONS |= {f"store {name}": storing(name) for name in FILES}
COMPARISONS |= {f"stored {name}": as_stored(name) for name in BOTH_HAVE}
COMPARISONS |= {f"metadata {name}": metadata(name) for name in BOTH_HAVE}
COMPARISONS |= {f"transcoded {name}": transcoded(name) for name in BOTH_HAVE}
COMPARISONS |= {f"frames {name}": frames(name, "*") for name in IMAGES}
COMPARISONS |= {f"native frames {name}": frames(name, EXPLICIT) for name in IMAGES}
COMPARISONS |= {f"rendered {name}": rendered(name, False) for name in IMAGES}
COMPARISONS |= {
    f"windowed {name}": rendered(name, True) for name in IMAGES if "WindowCenter" in dcmread(FILES[name], force=True)
}

NO_PARTS = b"--x--\r\n"
WITHOUT_TYPE = multipart(instance(), type=None)
WITH_TYPE = multipart(instance())
FRESH: dict[str, Comparison] = {
    "new: several files": fresh(instance(), instance(), instance()),
    "new: below their study": fresh(instance(), study=True),
    "new: below another study": sent(*multipart(instance()), "studies/1.2.3"),
    "new: again": fresh(instance(), times=2),
    "new: a file without PatientID": fresh(instance(leave_out=("PatientID",))),
    "new: a file without SOPInstanceUID": sent(*multipart(instance(leave_out=("SOPInstanceUID",)))),
    "new: a file without SeriesInstanceUID": sent(*multipart(instance(leave_out=("SeriesInstanceUID",)))),
    "new: no DICOM": sent(*multipart(b"no DICOM")),
    "new: no DICOM, and a file": sent(*multipart(b"no DICOM", instance())),
    "new: an empty part": sent(*multipart(b"")),
    "new: no part": sent(NO_PARTS, 'multipart/related; type="application/dicom"; boundary=x'),
    "new: a body cut off": sent(WITH_TYPE[0][:300], WITH_TYPE[1]),
    "new: no boundary": sent(WITH_TYPE[0], 'multipart/related; type="application/dicom"'),
    "new: no type of the parts": sent(*WITHOUT_TYPE),
    "new: one file alone": sent(instance(), "application/dicom"),
    "new: JSON": sent(b"{}", "application/json"),
    "new: no Content-Type": sent(instance(), None),
    "new: PUT": sent(*multipart(instance()), method="PUT"),
    "new: accept None": fresh(instance(), accept=None),
    "new: accept text/html": fresh(instance(), accept="text/html"),
    "delete studies/1.2.3": status("studies/1.2.3", method="DELETE"),
    "delete studies/abc": status("studies/abc", method="DELETE"),
}


FRESH |= {f"delete what is there: {level}": deleting(level) for level in ("study", "series", "instance")}


# ---- the tests -------------------------------------------------------------------------------------------------------


def signs(name: str, comparison: Comparison, pair: Pair) -> list[str]:
    return sorted({f"{name}: {sign}" for sign in comparison(pair)})


def explanations(sign: str) -> list[Difference]:
    return [row for row in DIFFERENCES if any(re.fullmatch(pattern, sign, re.DOTALL) for pattern in row.signs)]


@pytest.fixture(scope="module")
def noticed() -> dict[str, list[str]]:
    """Comparison -> the differences it has found, filled by the tests."""
    return {}


def look(name: str, full: Pair, empty: Pair, noticed: dict[str, list[str]]) -> list[str]:
    if name not in noticed:
        comparison, pair = (COMPARISONS[name], full) if name in COMPARISONS else (FRESH[name], empty)
        noticed[name] = signs(name, comparison, pair)
    return noticed[name]


@pytest.mark.parametrize("name", [*COMPARISONS, *FRESH])
def test_every_difference_is_explained_by_one_row(name: str, full: Pair, empty: Pair, noticed: dict) -> None:
    found_now = look(name, full, empty, noticed)
    assert not {sign: len(rows) for sign in found_now if len(rows := explanations(sign)) != 1}


@pytest.mark.parametrize("row", DIFFERENCES, ids=lambda row: row.what)
def test_every_row_still_explains_something(row: Difference, full: Pair, empty: Pair, noticed: dict) -> None:
    everything = [sign for name in (*COMPARISONS, *FRESH) for sign in look(name, full, empty, noticed)]
    idle = [pattern for pattern in row.signs if not any(re.fullmatch(pattern, sign, re.DOTALL) for sign in everything)]
    assert not idle, f"no difference of this kind any more: {idle}"


def warnings_of_dcmtk(file: bytes, folder: Path) -> str:
    """What dcmdump, which comes with Orthanc, has to say about a file."""
    place_on_disk = folder / "file.dcm"
    place_on_disk.write_bytes(file)
    process = subprocess.run(["dcmdump", "--quote-nonascii", place_on_disk], capture_output=True)
    return process.stderr.decode(errors="replace") + ("" if process.returncode == 0 else "not readable")


@pytest.mark.parametrize("syntax", [EXPLICIT, SYNTAXES["JPEG 2000"]], ids=["explicit", "JPEG 2000"])
@pytest.mark.parametrize("name", FILES)
def test_dcmtk_finds_no_fault_with_a_transcoded_file(name: str, syntax: str, full: Pair, tmp_path: Path) -> None:
    """Unless it finds fault with the file that was stored."""
    stored = full.files[name]
    answer = full.client.get(
        f"{full.emulator}/{place(stored)}", headers={"Accept": f"application/dicom; transfer-syntax={syntax}"}
    )
    if answer.status_code == 406:
        assert Path(name).name in NOT_DECODED or syntax != EXPLICIT
    else:
        assert not warnings_of_dcmtk(answer.content, tmp_path) or warnings_of_dcmtk(stored, tmp_path)


def test_the_readme_has_the_same_table() -> None:
    assert rows_of_readme("Second opinion: Orthanc") == [[*row[:4]] for row in DIFFERENCES]


def test_lesson_16_runs_on_orthanc_as_well(tmp_path: Path) -> None:
    with orthanc.running(tmp_path) as url:
        environment = {**run.learner_environment(), "ORTHANC_URL": url}
        notebook = store.execute(store.read(store.FOLDER / "16-other-servers.ipynb"), "16", environment)
    printed = "".join(output.get("text", "") for cell in store.code_cells(notebook) for output in cell.outputs)
    assert re.findall("^Orthanc · (.*)$", printed, re.MULTILINE) == [
        "has the three samples",
        "by UID: 1 study · by a number that nobody has: []",
        "3 pictures, equal to those of the DICOM service: True",
        "['Fake DICOM - Blue Circle', 'Fake DICOM - Green Square', 'Fake DICOM - Red Triangle']",
    ]
