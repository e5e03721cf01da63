"""WADO-RS: studies, series and instances (conformance statement, Retrieve; PS3.18 §10.4)."""

import io
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy
import pytest
from pydicom import Dataset, dcmread
from pydicom.sequence import Sequence
from requests_toolbelt import MultipartDecoder

import dicom_emulator
from tests.emulator.conftest import Service, session
from tests.emulator.dicom_files import fragments, instance, multipart, path, split_multipart, uids

SCOPE = "https://dicom.healthcareapis.azure.com/.default"
IMPLICIT, EXPLICIT, BIG_ENDIAN, DEFLATED = (
    "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"
)  # fmt: skip
JPEG_BASELINE, JPEG_2000 = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.90"
SINGLE, MULTIPART = "application/dicom", 'multipart/related; type="application/dicom"'
ORIGINAL, ALL_ORIGINAL = f"{SINGLE}; transfer-syntax=*", f"{MULTIPART}; transfer-syntax=*"
NOT_ACCEPTABLE = "The request headers are not acceptable"
NOT_TRANSCODABLE = "The specified transcoding is not supported."
GROUP_LENGTH, IMPLEMENTATION_CLASS_UID = 0x00020000, 0x00020012

both = pytest.mark.parametrize("version", ["v1", "v2"])
levels = pytest.mark.parametrize("level", ["study", "series", "instance"])


def image(transfer_syntax: str = EXPLICIT, **attributes: Any) -> bytes:
    """A small uncompressed image."""
    return instance(transfer_syntax, pixels=numpy.arange(12, dtype="uint16").reshape(3, 4) * 1000, **attributes)


def encapsulated(transfer_syntax: str = JPEG_2000, **attributes: Any) -> bytes:
    """An image in a compressed transfer syntax, as far as its framing goes."""
    attributes = {"Rows": 2, "Columns": 2, "BitsAllocated": 8, "SamplesPerPixel": 1} | attributes
    return instance(transfer_syntax, pixels=fragments(b"a frame."), **attributes)


class TestAccept:
    """Which Accept headers are taken for which resource, and what comes back."""

    @both
    @levels
    @pytest.mark.parametrize(
        ("accept", "stored", "sent"),
        [
            (MULTIPART, IMPLICIT, EXPLICIT),
            (MULTIPART, EXPLICIT, EXPLICIT),
            (f"{MULTIPART}; transfer-syntax={EXPLICIT}", IMPLICIT, EXPLICIT),
            (f"{MULTIPART}; transfer-syntax=*", IMPLICIT, IMPLICIT),
            (f"{MULTIPART}; transfer-syntax=*", JPEG_2000, JPEG_2000),
            (f"{MULTIPART}; transfer-syntax={JPEG_2000}", JPEG_2000, JPEG_2000),
            ('multipart/related; type="*/*"', IMPLICIT, IMPLICIT),
            (f'multipart/related; type="*/*"; transfer-syntax={EXPLICIT}', IMPLICIT, EXPLICIT),
            ("*/*", IMPLICIT, IMPLICIT),
            ("*/*", JPEG_2000, JPEG_2000),
        ],
    )
    def test_multipart_is_offered_at_every_level(
        self, service: Service, version: str, level: str, accept: str, stored: str, sent: str
    ) -> None:
        file = encapsulated(stored) if stored == JPEG_2000 else image(stored)
        service.store(file)
        response = service.owner.get(f"{service.url}/{version}/{path(file, level)}", headers={"Accept": accept})
        assert response.status_code == 200, response.text
        [(headers, body)] = split_multipart(response)
        assert headers == {"content-type": f"application/dicom; transfer-syntax={sent}"}
        assert dcmread(io.BytesIO(body)).file_meta.TransferSyntaxUID == sent
        assert (body == file) == (sent == stored)

    @both
    @pytest.mark.parametrize(
        ("accept", "stored", "sent"),
        [
            (SINGLE, IMPLICIT, EXPLICIT),
            (SINGLE, EXPLICIT, EXPLICIT),
            (f"{SINGLE}; transfer-syntax=*", IMPLICIT, IMPLICIT),
            (f"{SINGLE}; transfer-syntax={EXPLICIT}", IMPLICIT, EXPLICIT),
            (f"{SINGLE}; transfer-syntax={JPEG_2000}", JPEG_2000, JPEG_2000),
        ],
    )
    def test_a_single_part_is_offered_for_an_instance(
        self, service: Service, version: str, accept: str, stored: str, sent: str
    ) -> None:
        file = encapsulated(stored) if stored == JPEG_2000 else image(stored)
        service.store(file)
        response = service.owner.get(f"{service.url}/{version}/{path(file)}", headers={"Accept": accept})
        assert response.status_code == 200, response.text
        assert response.headers["Content-Type"] == f"application/dicom; transfer-syntax={sent}"
        assert dcmread(io.BytesIO(response.content)).file_meta.TransferSyntaxUID == sent
        assert (response.content == file) == (sent == stored)

    @both
    @levels
    @pytest.mark.parametrize(
        "accept",
        [
            None,
            "",
            "nonsense",
            "application/dicom+json",
            "application/octet-stream",
            "image/jpeg",
            "text/html",
            "multipart/related",
            'multipart/related; type="application/octet-stream"',
            'multipart/related; type="image/jp2"',
            f"{MULTIPART}; transfer-syntax={IMPLICIT}",
            f"{MULTIPART}; transfer-syntax={JPEG_BASELINE}",
            f"{MULTIPART}; transfer-syntax=1.2.840.10008.1.2.4.100",
            f"{SINGLE}; transfer-syntax={JPEG_BASELINE}",
        ],
    )
    def test_nothing_acceptable_is_406(self, service: Service, version: str, level: str, accept: str | None) -> None:
        """Also where the stored transfer syntax is the one that was asked for but not on offer."""
        file = image(IMPLICIT)
        service.store(file)
        headers = {} if accept is None else {"Accept": accept}
        response = service.owner.get(f"{service.url}/{version}/{path(file, level)}", headers=headers)
        assert (response.status_code, response.text) == (406, NOT_ACCEPTABLE)

    @both
    @pytest.mark.parametrize("level", ["study", "series"])
    @pytest.mark.parametrize("accept", [SINGLE, ORIGINAL])
    def test_a_single_part_is_not_offered_for_more_than_an_instance(
        self, service: Service, version: str, level: str, accept: str
    ) -> None:
        file = image()
        service.store(file)
        response = service.owner.get(f"{service.url}/{version}/{path(file, level)}", headers={"Accept": accept})
        assert (response.status_code, response.text) == (406, NOT_ACCEPTABLE)

    @both
    @levels
    @pytest.mark.parametrize(
        "accept",
        [
            "multipart/related; type=application/dicom; transfer-syntax=*",
            'multipart/related; type="application/dicom"; transfer-syntax="*"',
            'multipart/related;type="application/dicom";transfer-syntax=*',
            'multipart/related; transfer-syntax=*; type="application/dicom"',
            'Multipart/Related; type="Application/DICOM"; transfer-syntax=*',
        ],
    )
    def test_quotes_spaces_order_and_letter_case_do_not_matter(
        self, service: Service, version: str, level: str, accept: str
    ) -> None:
        file = image(IMPLICIT)
        service.store(file)
        response = service.owner.get(f"{service.url}/{version}/{path(file, level)}", headers={"Accept": accept})
        assert response.status_code == 200, response.text
        assert [body for _, body in split_multipart(response)] == [file]

    @both
    @pytest.mark.parametrize(
        ("accept", "media_type", "original"),
        [
            # quality decides, not the order
            (f"{SINGLE}; q=0.5, {MULTIPART}; q=0.9", "multipart/related", False),
            (f"{SINGLE}; q=0.9, {MULTIPART}; q=0.5", "application/dicom", False),
            (f"{SINGLE}; q=0.9, application/dicom; transfer-syntax={EXPLICIT}", "application/dicom", False),
            # a later range for the stored syntax wins, if its quality is not lower
            (f"{SINGLE}, {ORIGINAL}", "application/dicom", True),
            (f"{SINGLE}; q=0.5, {ORIGINAL}; q=0.5", "application/dicom", True),
            (f"{SINGLE}; q=0.8, {ORIGINAL}; q=0.5", "application/dicom", False),
            # a range that cannot be served is passed over
            (f"{SINGLE}; transfer-syntax={JPEG_BASELINE}, {ORIGINAL}", "application/dicom", True),
            (f"text/html, {ORIGINAL}", "application/dicom", True),
            (f"{SINGLE}; transfer-syntax={JPEG_BASELINE}; q=0.9, {SINGLE}; q=0.1", "application/dicom", False),
            # a header that begins with multipart/related is multipart throughout
            ('multipart/related; type="image/jpeg", application/dicom', "multipart/related", False),
            ('application/dicom, multipart/related; type="image/jpeg"', "application/dicom", False),
        ],
    )
    def test_of_several_ranges_one_is_chosen(
        self, service: Service, version: str, accept: str, media_type: str, original: bool
    ) -> None:
        file = image(IMPLICIT)
        service.store(file)
        response = service.owner.get(f"{service.url}/{version}/{path(file)}", headers={"Accept": accept})
        assert response.status_code == 200, response.text
        assert response.headers["Content-Type"].split(";")[0] == media_type
        body = split_multipart(response)[0][1] if media_type == "multipart/related" else response.content
        assert (body == file) == original

    @both
    def test_a_header_that_begins_with_multipart_counts_as_multipart_at_study_level_too(
        self, service: Service, version: str
    ) -> None:
        file = image()
        service.store(file)
        url = f"{service.url}/{version}/{path(file, 'study')}"
        begins = {"Accept": 'multipart/related; type="image/jpeg", application/dicom'}
        ends = {"Accept": 'application/dicom, multipart/related; type="image/jpeg"'}
        assert service.owner.get(url, headers=begins).status_code == 200
        assert service.owner.get(url, headers=ends).status_code == 406


class TestWhichBytes:
    @both
    @levels
    @pytest.mark.parametrize(
        "file",
        [image(EXPLICIT), image(IMPLICIT), image(BIG_ENDIAN), image(DEFLATED), encapsulated(JPEG_2000),
         encapsulated(JPEG_BASELINE), encapsulated("1.2.840.10008.1.2.5"), encapsulated("1.2.840.10008.1.2.4.201"),
         instance()],
        ids=["explicit", "implicit", "big endian", "deflated", "JPEG 2000", "JPEG", "RLE", "HTJ2K", "no pixels"],
    )  # fmt: skip
    def test_the_stored_bytes_come_back_for_any_syntax(
        self, service: Service, version: str, level: str, file: bytes
    ) -> None:
        service.store(file)
        response = service.owner.get(f"{service.url}/{version}/{path(file, level)}", headers={"Accept": ALL_ORIGINAL})
        [(headers, body)] = split_multipart(response)
        assert body == file
        stored = dcmread(io.BytesIO(file)).file_meta.TransferSyntaxUID
        assert headers["content-type"] == f"application/dicom; transfer-syntax={stored}", "never the asterisk"

    @both
    def test_a_preamble_and_unusual_encodings_survive(self, service: Service, version: str) -> None:
        file = bytes(range(128)) + image()[128:]
        service.store(file)
        response = service.owner.get(f"{service.url}/{version}/{path(file)}", headers={"Accept": SINGLE})
        assert response.content == file, "asking for the stored transfer syntax changes nothing"

    @both
    @pytest.mark.parametrize("level", ["study", "series"])
    @pytest.mark.parametrize("accept", [MULTIPART, f"{MULTIPART}; transfer-syntax={EXPLICIT}"])
    @pytest.mark.parametrize("second", [EXPLICIT, IMPLICIT])
    def test_many_instances_come_only_as_they_are_stored(
        self, service: Service, version: str, level: str, accept: str, second: str
    ) -> None:
        """One transfer syntax for several instances is refused, even where all are stored in it."""
        first = image()
        study, series, _ = uids(first)
        files = [first, image(second, StudyInstanceUID=study, SeriesInstanceUID=series)]
        service.store(*files)
        url = f"{service.url}/{version}/{path(first, level)}"
        refused = service.owner.get(url, headers={"Accept": accept})
        assert refused.status_code == 406
        assert "not supported when multiple instances are matched" in refused.text
        assert "transfer-syntax=*" in refused.text
        assert refused.headers["Content-Type"] == "text/plain; charset=utf-8"
        for original in (ALL_ORIGINAL, 'multipart/related; type="*/*"', "*/*"):
            taken = service.owner.get(url, headers={"Accept": original})
            assert {body for _, body in split_multipart(taken)} == set(files)
            assert {headers["content-type"] for headers, _ in split_multipart(taken)} == {
                f"application/dicom; transfer-syntax={syntax}" for syntax in (EXPLICIT, second)
            }
        alone = service.owner.get(f"{service.url}/{version}/{path(first)}", headers={"Accept": accept})
        assert alone.status_code == 200

    @both
    def test_a_series_has_its_own_instances_only(self, service: Service, version: str) -> None:
        first = image()
        second = image(StudyInstanceUID=uids(first)[0])
        service.store(first, second)
        for level, expected in (("series", {first}), ("study", {first, second})):
            url = f"{service.url}/{version}/{path(first, level)}"
            parts = split_multipart(service.owner.get(url, headers={"Accept": ALL_ORIGINAL}))
            assert {body for _, body in parts} == expected

    @both
    @pytest.mark.parametrize("value", ["true", "TRUE", "false", "nonsense"])
    def test_asking_for_the_original_version_of_what_was_never_updated_changes_nothing(
        self, service: Service, version: str, value: str
    ) -> None:
        file = image()
        service.store(file)
        for level in ("study", "series", "instance"):
            headers = {"Accept": ALL_ORIGINAL, "msdicom-request-original": value}
            response = service.owner.get(f"{service.url}/{version}/{path(file, level)}", headers=headers)
            assert [body for _, body in split_multipart(response)] == [file]


@pytest.fixture(scope="module")
def narrow() -> Iterator[dicom_emulator.RunningServer]:
    """An emulator that transcodes files up to 1500 bytes only."""
    with dicom_emulator.running(max_transcode_size=1500) as server:
        yield server


class TestTranscoding:
    """A single instance in another transfer syntax than the stored one."""

    def transcoded(self, service: Service, file: bytes, syntax: str, version: str = "v2") -> Dataset:
        service.store(file, version=version)
        headers = {"Accept": f"{SINGLE}; transfer-syntax={syntax}"}
        response = service.owner.get(f"{service.url}/{version}/{path(file)}", headers=headers)
        assert response.status_code == 200, response.text
        assert response.headers["Content-Type"] == f"application/dicom; transfer-syntax={syntax}"
        dataset = dcmread(io.BytesIO(response.content))
        assert dataset.file_meta.TransferSyntaxUID == syntax
        return dataset

    @both
    @pytest.mark.parametrize("stored", [IMPLICIT, BIG_ENDIAN, DEFLATED])
    def test_uncompressed_files_become_explicit_little_endian(
        self, service: Service, version: str, stored: str
    ) -> None:
        nested = Dataset()
        nested.CodeValue, nested.CodeMeaning = "T-1", "Größe"
        attributes = {
            "PatientName": "Müller^Jürgen=山田^太郎",
            "PixelAspectRatio": ["1", "2"],
            "FrameTimeVector": ["1.5", "2.5"],
            "FrameIncrementPointer": 0x00181065,
            "TagAngleSecondAxis": -5,
            "RecommendedDisplayFrameRateInFloat": 12.5,
            "ProcedureCodeSequence": Sequence([nested]),
            "PixelRepresentation": 0,
            "SmallestImagePixelValue": 0,
        }
        file = image(stored, **attributes)
        before = dcmread(io.BytesIO(file))
        dataset = self.transcoded(service, file, EXPLICIT, version)
        assert dataset.PixelData == numpy.arange(0, 12000, 1000, dtype="<u2").tobytes()
        assert set(dataset.keys()) == set(before.keys())
        for element in before:
            if element.keyword != "PixelData":
                assert dataset[element.tag] == element

    def test_bytes_have_no_byte_order(self, service: Service) -> None:
        """PS3.5 §7.3: OB is a string of bytes, also in big endian."""
        file = instance(BIG_ENDIAN, pixels=numpy.arange(6, dtype="uint8").reshape(2, 3))
        assert self.transcoded(service, file, EXPLICIT).PixelData == bytes(range(6))

    def test_binary_values_change_their_byte_order(self, service: Service) -> None:
        """PS3.5 §7.3: OW, OF and OD consist of words of two, four and eight bytes."""
        big = {
            "RedPaletteColorLookupTableData": bytes(range(8)),
            "VectorGridData": bytes(range(8)),
            "DoubleFloatPixelData": bytes(range(8)),
        }
        dataset = self.transcoded(service, instance(BIG_ENDIAN, **big), EXPLICIT)
        assert dataset.RedPaletteColorLookupTableData == bytes([1, 0, 3, 2, 5, 4, 7, 6])
        assert dataset.VectorGridData == bytes([3, 2, 1, 0, 7, 6, 5, 4])
        assert dataset.DoubleFloatPixelData == bytes([7, 6, 5, 4, 3, 2, 1, 0])

    @pytest.mark.parametrize("stored", [IMPLICIT, BIG_ENDIAN, DEFLATED])
    @pytest.mark.parametrize("undefined_length", [True, False])
    def test_long_values_survive_at_every_depth(self, service: Service, stored: str, undefined_length: bool) -> None:
        """Longer than 64 KiB, where explicit VRs need their long form; in sequences with and without a length."""
        item = Dataset()
        item.EncapsulatedDocument, item.CodeMeaning = bytes(range(256)) * 300, "a document"
        file = instance(
            stored, pixels=numpy.arange(40_000, dtype="uint16").reshape(200, 200), ProcedureCodeSequence=[item],
            EncapsulatedDocument=bytes(range(256)) * 300, TextValue="text " * 14_000,
        )  # fmt: skip
        before = dcmread(io.BytesIO(file))
        before["ProcedureCodeSequence"].is_undefined_length = undefined_length
        buffer = io.BytesIO()
        before.save_as(buffer)
        dataset = self.transcoded(service, buffer.getvalue(), EXPLICIT)
        assert dataset.PixelData == numpy.arange(40_000, dtype="<u2").tobytes()
        assert dataset.EncapsulatedDocument == bytes(range(256)) * 300
        assert dataset.TextValue == before.TextValue
        assert dataset.ProcedureCodeSequence[0].EncapsulatedDocument == bytes(range(256)) * 300

    def test_an_implicit_file_with_signed_pixels_gets_signed_attributes(self, service: Service) -> None:
        """PS3.5 §A.1: what is US or SS is decided by Pixel Representation."""
        file = image(IMPLICIT, PixelRepresentation=1)
        dataset = dcmread(io.BytesIO(file))
        dataset.add_new(0x00280106, "SS", -5)
        buffer = io.BytesIO()
        dataset.save_as(buffer)
        element = self.transcoded(service, buffer.getvalue(), EXPLICIT)["SmallestImagePixelValue"]
        assert (element.VR, element.value) == ("SS", -5)

    @both
    def test_a_transcoded_file_names_the_software_that_wrote_it(self, service: Service, version: str) -> None:
        file = image(IMPLICIT)
        before = dcmread(io.BytesIO(file)).file_meta
        meta = self.transcoded(service, file, EXPLICIT, version).file_meta
        assert meta.ImplementationClassUID == "1.3.6.1.4.1.311.129"
        assert meta.ImplementationVersionName != before.ImplementationVersionName
        assert meta.MediaStorageSOPInstanceUID == before.MediaStorageSOPInstanceUID
        assert meta.MediaStorageSOPClassUID == before.MediaStorageSOPClassUID

    def test_the_stored_file_stays_as_it_is(self, service: Service) -> None:
        file = image(IMPLICIT)
        self.transcoded(service, file, EXPLICIT)
        response = service.owner.get(f"{service.v2}/{path(file)}", headers={"Accept": ORIGINAL})
        assert response.content == file

    @both
    @pytest.mark.parametrize("stored", [IMPLICIT, EXPLICIT, BIG_ENDIAN, JPEG_BASELINE])
    def test_a_file_without_pixel_data_can_be_had_in_any_syntax_on_offer(
        self, service: Service, version: str, stored: str
    ) -> None:
        file = instance(stored, PatientName="Test^Tess", SeriesNumber="7")
        for syntax in (EXPLICIT, JPEG_2000):
            dataset = self.transcoded(service, file, syntax, version)
            assert (dataset.PatientName, dataset.SeriesNumber) == ("Test^Tess", 7)

    @both
    @pytest.mark.parametrize(
        "stored", [JPEG_BASELINE, "1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70", JPEG_2000,
                   "1.2.840.10008.1.2.4.91", "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.100"]
    )  # fmt: skip
    def test_what_cannot_be_decoded_is_406(self, service: Service, version: str, stored: str) -> None:
        file = encapsulated(stored)
        service.store(file)
        asked = (("instance", SINGLE), ("instance", MULTIPART), ("series", MULTIPART), ("study", MULTIPART))
        for level, accept in asked:
            response = service.owner.get(f"{service.url}/{version}/{path(file, level)}", headers={"Accept": accept})
            assert (response.status_code, response.text) == (406, NOT_TRANSCODABLE)
            assert response.headers["Content-Type"] == "text/plain; charset=utf-8"

    @both
    def test_what_cannot_be_encoded_is_406(self, service: Service, version: str) -> None:
        """JPEG 2000 that the service cannot make: the samples of these pixels are not whole bytes."""
        image_of_bits = {"Rows": 2, "Columns": 4, "BitsAllocated": 1, "BitsStored": 1, "HighBit": 0,
                         "SamplesPerPixel": 1, "PixelRepresentation": 0}  # fmt: skip
        file = instance(pixels=b"\x05\0", PhotometricInterpretation="MONOCHROME2", **image_of_bits)
        service.store(file)
        headers = {"Accept": f"{SINGLE}; transfer-syntax={JPEG_2000}"}
        response = service.owner.get(f"{service.url}/{version}/{path(file)}", headers=headers)
        assert (response.status_code, response.text) == (406, NOT_TRANSCODABLE)

    @both
    def test_a_file_above_the_limit_comes_only_as_it_is_stored(
        self, narrow: dicom_emulator.RunningServer, version: str
    ) -> None:
        owner = session(narrow.credential.get_token(SCOPE).token)
        comment = "x" * 1500
        small, large = image(IMPLICIT), image(IMPLICIT, PatientComments=comment)
        explicit = image(PatientComments=comment)
        assert len(small) < 1500 < len(large)
        body, content_type = multipart(small, large, explicit)
        headers = {"Content-Type": content_type, "Accept": "application/dicom+json"}
        owner.post(f"{narrow.url}/v2/studies", data=body, headers=headers).raise_for_status()

        def ask(file: bytes, accept: str) -> Any:
            return owner.get(f"{narrow.url}/{version}/{path(file)}", headers={"Accept": accept})

        assert ask(small, SINGLE).status_code == 200
        assert ask(large, ORIGINAL).content == large
        assert ask(explicit, SINGLE).content == explicit, "asking for the stored syntax transcodes nothing"
        refused = ask(large, SINGLE)
        assert refused.status_code == 406
        assert "1500" in refused.text and "transfer-syntax=*" in refused.text


class TestResponse:
    @both
    @levels
    def test_multipart_is_framed_with_crlf_and_has_no_type_parameter(
        self, service: Service, version: str, level: str
    ) -> None:
        file = image()
        service.store(file)
        response = service.owner.get(f"{service.url}/{version}/{path(file, level)}", headers={"Accept": ALL_ORIGINAL})
        form = r"multipart/related; boundary=([0-9A-Za-z-]{20,70})"
        content_type = re.fullmatch(form, response.headers["Content-Type"])
        assert content_type, response.headers["Content-Type"]
        boundary = content_type[1].encode()
        head = b"--" + boundary + b"\r\nContent-Type: application/dicom; transfer-syntax=" + EXPLICIT.encode()
        assert response.content.removeprefix(b"\r\n") == head + b"\r\n\r\n" + file + b"\r\n--" + boundary + b"--\r\n"

    @both
    def test_multipart_is_streamed(self, service: Service, version: str) -> None:
        file = image()
        service.store(file)
        url = f"{service.url}/{version}/{path(file, 'study')}"
        response = service.owner.get(url, headers={"Accept": ALL_ORIGINAL})
        assert response.headers["Transfer-Encoding"] == "chunked" and "Content-Length" not in response.headers

    def test_nothing_more_is_read_for_a_client_that_has_left(self, service: Service) -> None:
        file = instance(pixels=numpy.zeros((1000, 1000), "uint8"))
        service.store(file)
        url = f"{service.v2}/{path(file)}/frames/{','.join(['1'] * 300)}"
        headers = {"Accept": 'multipart/related; type="application/octet-stream"'}
        with service.owner.get(url, headers=headers, stream=True) as response:
            next(response.iter_content(100))
        until = time.monotonic() + 30
        exchange = {"milliseconds": 0}
        while not exchange["milliseconds"] and time.monotonic() < until:  # until it is over
            exchange = service.nobody.get(f"{service.url}/_emulator/requests").json()[-1]
        assert exchange["milliseconds"] and 0 < exchange["responseBytes"] < 100_000_000

    @both
    def test_requests_toolbelt_reads_it(self, service: Service, version: str) -> None:
        first = image()
        files = [first, image(StudyInstanceUID=uids(first)[0])]
        service.store(*files)
        url = f"{service.url}/{version}/{path(first, 'study')}"
        parts = MultipartDecoder.from_response(service.owner.get(url, headers={"Accept": ALL_ORIGINAL})).parts
        assert {part.content for part in parts} == set(files)
        assert {tuple(part.headers.items()) for part in parts} == {
            ((b"Content-Type", f"application/dicom; transfer-syntax={EXPLICIT}".encode()),)
        }

    def test_a_boundary_never_occurs_in_the_files(self, service: Service) -> None:
        """Two answers have different boundaries, so that no file can be made to break the framing."""
        file = image()
        service.store(file)
        answers = [service.owner.get(f"{service.v2}/{path(file)}", headers={"Accept": MULTIPART}) for _ in range(2)]
        assert answers[0].headers["Content-Type"] != answers[1].headers["Content-Type"]


class TestStorage:
    @both
    @pytest.mark.parametrize(
        ("resource", "accept"),
        [
            ("", ORIGINAL),
            ("", SINGLE),
            ("", ALL_ORIGINAL),
            ("/frames/1", "application/octet-stream; transfer-syntax=*"),
            ("/frames/1", 'multipart/related; type="application/octet-stream"'),
        ],
    )
    def test_a_file_that_cannot_be_read_is_503(self, tmp_path: Path, version: str, resource: str, accept: str) -> None:
        file = image(IMPLICIT)
        body, content_type = multipart(file)
        with dicom_emulator.running(data_dir=tmp_path, sign_in=False) as server:
            headers = {"Content-Type": content_type, "Accept": "application/dicom+json"}
            session().post(f"{server.url}/v2/studies", data=body, headers=headers).raise_for_status()
            [stored] = [kept for kept in tmp_path.rglob("*") if kept.is_file() and kept.read_bytes() == file]
            stored.unlink()
            response = session().get(f"{server.url}/{version}/{path(file)}{resource}", headers={"Accept": accept})
            assert response.status_code == 503
            assert response.headers["Content-Type"] == "text/plain; charset=utf-8" and response.text

    def test_a_study_is_503_before_a_byte_is_sent_when_its_last_file_is_gone(self, tmp_path: Path) -> None:
        """More than is read at once, so that the first files could be sent."""
        files = [instance(pixels=numpy.full((1000, 1000), n, "uint16"), StudyInstanceUID="1.2.111") for n in range(3)]
        body, content_type = multipart(*files)
        with dicom_emulator.running(data_dir=tmp_path, sign_in=False) as server:
            headers = {"Content-Type": content_type, "Accept": "application/dicom+json"}
            session().post(f"{server.url}/v2/studies", data=body, headers=headers).raise_for_status()
            [last] = [kept for kept in tmp_path.rglob("*.dcm") if kept.read_bytes() == files[-1]]
            last.unlink()
            response = session().get(f"{server.url}/v2/studies/1.2.111", headers={"Accept": ALL_ORIGINAL})
            assert (response.status_code, response.headers["Content-Type"]) == (503, "text/plain; charset=utf-8")

    def test_a_study_that_is_being_sent_arrives_whole_although_it_is_deleted_meanwhile(self, service: Service) -> None:
        """The service removes files days after their deletion."""
        parents = {"StudyInstanceUID": "1.2.111", "SeriesInstanceUID": "1.2.222"}
        files = [instance(pixels=numpy.full((1000, 2000), number, "uint16"), **parents) for number in range(8)]
        service.store(*files).raise_for_status()
        url = f"{service.v2}/studies/1.2.111"
        with service.owner.get(url, headers={"Accept": ALL_ORIGINAL}, stream=True) as response:
            start = response.raw.read(1000)
            assert service.owner.delete(url).status_code == 204
            whole = start + response.raw.read()
        assert sum(whole.count(file) for file in files) == 8
        assert service.owner.get(url, headers={"Accept": ALL_ORIGINAL}).status_code == 404


class TestNotFound:
    TEXTS = {level: f"The specified {level} cannot be found." for level in ("study", "series", "instance")}
    ACCEPT = {"Accept": ALL_ORIGINAL}

    @both
    @levels
    @pytest.mark.parametrize("known", [0, 1, 2])
    def test_the_text_names_the_level_that_was_asked_for(
        self, service: Service, version: str, level: str, known: int
    ) -> None:
        """Whatever is missing on the way: `known` is how many of the UIDs in the path exist."""
        file = image()
        service.store(file)
        asked = {"study": 1, "series": 2, "instance": 3}[level]
        parts = [uid if position < min(known, asked - 1) else "1.2.3" for position, uid in enumerate(uids(file))]
        names = ("studies", "series", "instances")
        resource = "/".join(f"{name}/{uid}" for name, uid in list(zip(names, parts))[:asked])
        response = service.owner.get(f"{service.url}/{version}/{resource}", headers=self.ACCEPT)
        assert (response.status_code, response.text) == (404, self.TEXTS[level])

    @both
    def test_an_instance_is_not_found_under_another_parent(self, service: Service, version: str) -> None:
        one, two = image(), image()
        service.store(one, two)
        (study, series, sop), (other_study, other_series, _) = uids(one), uids(two)
        wrong = {
            f"studies/{other_study}/series/{series}": "series",
            f"studies/{other_study}/series/{series}/instances/{sop}": "instance",
            f"studies/{study}/series/{other_series}/instances/{sop}": "instance",
            f"studies/{other_study}/series/{other_series}/instances/{sop}": "instance",
        }
        for resource, level in wrong.items():
            response = service.owner.get(f"{service.url}/{version}/{resource}", headers=self.ACCEPT)
            assert (response.status_code, response.text) == (404, self.TEXTS[level])

    @both
    def test_what_was_deleted_is_not_found(self, service: Service, version: str) -> None:
        file = image()
        service.store(file)
        service.owner.delete(f"{service.v2}/{path(file)}")
        for level, text in self.TEXTS.items():
            response = service.owner.get(f"{service.url}/{version}/{path(file, level)}", headers=self.ACCEPT)
            assert (response.status_code, response.text) == (404, text)
