"""The Python library dicomweb-client, as it comes from PyPI, against the emulator."""

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pydicom
import pytest
import requests
from dicomweb_client.api import DICOMwebClient
from dicomweb_client.session_utils import create_session_from_auth, create_session_from_user_pass
from PIL import Image
from pydicom import Dataset, dcmread, dcmwrite
from pydicom.encaps import generate_frames
from pydicom.errors import InvalidDicomError
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless, generate_uid

from dicom_emulator import RunningServer
from tests.emulator.conftest import Service
from tests.emulator.dicom_files import BINARY, SECONDARY_CAPTURE, instance, path, uids
from tests.emulator.storing import change_feed, is_empty, own_emulator

# Comments of the service are longer than LO may be, and pydicom says so.
pytestmark = pytest.mark.filterwarnings("ignore:The value length:UserWarning", "ignore:Invalid value:UserWarning")

SAMPLES = Path(__file__).parents[2] / "sample_dcms"
PYDICOM = Path(pydicom.__file__).parent / "data" / "test_files"
AS_STORED = (("application/dicom", "*"),)
OCTET_STREAM = "application/octet-stream"

# pydicom writes these as it read them, so their bytes can be compared after a way through a client made with pydicom.
FILES = [
    SAMPLES / "red-triangle.dcm",
    SAMPLES / "green-square.dcm",
    SAMPLES / "blue-circle.dcm",
    *(
        PYDICOM / name
        for name in (
            "CT_small.dcm",
            "MR_small_implicit.dcm",
            "MR_small_bigendian.dcm",
            "MR_small_RLE.dcm",
            "MR_small_jp2klossless.dcm",
            "MR_small_jpeg_ls_lossless.dcm",
            "SC_rgb_jpeg_gdcm.dcm",
            "SC_rgb_rle_2frame.dcm",
            "SC_rgb_small_odd.dcm",
            "examples_ybr_color.dcm",
            "rtdose.dcm",
            "test-SR.dcm",
            "waveform_ecg.dcm",
        )
    ),
]


class Token(requests.auth.AuthBase):
    """Asks the credential for each request, as one does with azure-identity; it knows when a token is too old."""

    def __init__(self, credential: Any) -> None:
        self.credential = credential

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        token = self.credential.get_token("https://dicom.healthcareapis.azure.com/.default").token
        request.headers["Authorization"] = f"Bearer {token}"
        return request


def without_charset(response: requests.Response, *args: Any, **kwargs: Any) -> None:
    """For the option `callback`: the media type alone, which is all that dicomweb-client compares."""
    if response.headers.get("Content-Type", "").startswith("application/dicom+json"):
        response.headers["Content-Type"] = "application/dicom+json"


@pytest.fixture
def client(service: Service, emulator: RunningServer) -> DICOMwebClient:
    return DICOMwebClient(service.v2, session=create_session_from_auth(Token(emulator.credential)))


@pytest.fixture
def answering_client(service: Service, emulator: RunningServer) -> DICOMwebClient:
    """A client that sees what the service says about a store request."""
    session = create_session_from_auth(Token(emulator.credential))
    return DICOMwebClient(service.v2, session=session, callback=without_charset)


def read(file: bytes) -> Dataset:
    return dcmread(io.BytesIO(file))


def encoded(dataset: Dataset) -> bytes:
    buffer = io.BytesIO()
    dcmwrite(buffer, dataset)
    return buffer.getvalue()


def stored_bytes(service: Service, file: bytes) -> bytes:
    """What the service has, asked for without dicomweb-client."""
    headers = {"Accept": "application/dicom; transfer-syntax=*"}
    return service.owner.get(f"{service.v2}/{path(file)}", headers=headers).content


def refused(call: Callable[[], Any]) -> requests.Response:
    """The response for which dicomweb-client raises."""
    with pytest.raises(requests.HTTPError) as error:
        call()
    return error.value.response


def fail_once(service: Service, **rule: Any) -> None:
    requests.post(f"{service.url}/_emulator/faults", json={"status": 503} | rule).raise_for_status()


def last_requests(service: Service, count: int) -> list[dict]:
    return requests.get(f"{service.url}/_emulator/requests").json()[-count:]


def comparable(dataset: Dataset) -> Dataset:
    """`dataset` without the elements that metadata leaves out, and FL in the precision of its four bytes."""
    for element in list(dataset):
        if element.VR in BINARY:
            del dataset[element.tag]
        elif element.VR == "FL" and element.value is not None:
            element.value = numpy.float32(element.value).tolist()
        elif element.VR == "SQ":
            for item in element.value:
                comparable(item)
    return dataset


def a_study(**attributes: Any) -> list[bytes]:
    """Three files: two of one series, with pixels 0-11 and 100-111, and one of another."""
    study, series = generate_uid(), generate_uid()
    more: dict[str, Any] = {"StudyInstanceUID": study} | attributes
    return [
        instance(pixels=pixels(0), SeriesInstanceUID=series, InstanceNumber=1, **more),
        instance(pixels=pixels(100), SeriesInstanceUID=series, InstanceNumber=2, **more),
        instance(pixels=pixels(200), Modality="CT", **more),
    ]


def pixels(first: int) -> numpy.ndarray:
    return numpy.arange(first, first + 12, dtype="uint8").reshape(3, 4)


class TestSignIn:
    def test_with_a_session_made_from_our_token(self, client: DICOMwebClient) -> None:
        assert client.search_for_studies() == []

    def test_with_the_token_as_a_header(self, service: Service) -> None:
        headers = {"Authorization": str(service.owner.headers["Authorization"])}
        assert DICOMwebClient(service.v2, headers=headers).search_for_studies() == []

    def test_without_one_is_401(self, service: Service) -> None:
        assert refused(DICOMwebClient(service.v2).search_for_studies).status_code == 401

    def test_user_name_and_password_are_401(self, service: Service) -> None:
        client = DICOMwebClient(service.v2, session=create_session_from_user_pass("owner", "owner"))
        assert refused(client.search_for_studies).status_code == 401

    def test_a_reader_may_not_store(self, service: Service, emulator: RunningServer) -> None:
        reader = create_session_from_auth(Token(emulator.credential_for("reader")))
        client = DICOMwebClient(service.v2, session=reader)
        assert refused(lambda: client.store_instances([read(instance())])).status_code == 403
        assert is_empty(service)


class TestStore:
    @pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
    def test_a_file_arrives_byte_for_byte(self, client: DICOMwebClient, service: Service, file: Path) -> None:
        client.store_instances([dcmread(file)])
        assert stored_bytes(service, file.read_bytes()) == file.read_bytes()

    def test_several_in_one_request(self, client: DICOMwebClient, service: Service) -> None:
        files = a_study()
        client.store_instances([read(file) for file in files])
        assert [stored_bytes(service, file) for file in files] == files
        assert [part["bytes"] for part in last_requests(service, 4)[0]["parts"]] == [len(file) for file in files]

    def test_into_a_study(self, answering_client: DICOMwebClient) -> None:
        file, other = instance(), instance()
        study = uids(file)[0]
        answer = answering_client.store_instances([read(file), read(other)], study_instance_uid=study)
        assert answer.RetrieveURL.endswith(f"/v2/studies/{study}")
        assert [item.ReferencedSOPInstanceUID for item in answer.ReferencedSOPSequence] == [uids(file)[2]]
        assert [item.ReferencedSOPInstanceUID for item in answer.FailedSOPSequence] == [uids(other)[2]]
        assert [item.FailureReason for item in answer.FailedSOPSequence] == [43264]

    def test_more_than_a_chunk_goes_without_a_length(self, client: DICOMwebClient, service: Service) -> None:
        client.set_chunk_size(100)
        file = instance()
        client.store_instances([read(file)])
        assert last_requests(service, 1)[0]["requestHeaders"]["transfer-encoding"] == "chunked"
        assert stored_bytes(service, file) == file

    def test_the_answer_seems_empty_unless_a_callback_drops_the_charset(
        self, client: DICOMwebClient, answering_client: DICOMwebClient
    ) -> None:
        file, other = instance(), instance()
        assert len(client.store_instances([read(file)])) == 0
        answer = answering_client.store_instances([read(other)])
        assert answer.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == uids(other)[2]

    def test_a_warning_is_in_the_answer(self, answering_client: DICOMwebClient) -> None:
        item = answering_client.store_instances([read(instance(StudyDate="yesterday"))]).ReferencedSOPSequence[0]
        assert item.WarningReason == 1
        assert "(0008,0020)" in item.FailedAttributesSequence[0].ErrorComment

    def test_what_is_there_already_raises_and_the_reason_is_in_the_response(self, client: DICOMwebClient) -> None:
        dataset = read(instance())
        client.store_instances([dataset])
        response = refused(lambda: client.store_instances([dataset]))
        answer = Dataset.from_json(response.text)
        assert (response.status_code, answer.FailedSOPSequence[0].FailureReason) == (409, 45070)

    def test_bytes_have_to_be_read_first(self, client: DICOMwebClient, service: Service) -> None:
        file = instance()
        with pytest.raises(AttributeError):
            client.store_instances([file])
        assert is_empty(service)
        client.store_instances([read(file)])
        assert stored_bytes(service, file) == file

    def test_a_data_set_made_in_memory_comes_back_only_if_it_has_a_preamble(self, client: DICOMwebClient) -> None:
        for preamble in (None, bytes(128)):
            made = Dataset()
            made.SOPClassUID, made.SOPInstanceUID = SECONDARY_CAPTURE, generate_uid()
            made.StudyInstanceUID, made.SeriesInstanceUID = generate_uid(), generate_uid()
            made.PatientID = "P1"
            made.file_meta = pydicom.dataset.FileMetaDataset()
            made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
            made.preamble = preamble
            client.store_instances([made])
            address = made.StudyInstanceUID, made.SeriesInstanceUID, made.SOPInstanceUID
            assert client.retrieve_instance_metadata(*address)["00100020"] == {"vr": "LO", "Value": ["P1"]}
            if preamble:
                assert encoded(client.retrieve_instance(*address)) == encoded(made)
            else:
                with pytest.raises(InvalidDicomError):
                    client.retrieve_instance(*address)

    def test_retrieve_url_lacks_the_port_unless_the_host_header_is_taken_out(
        self, answering_client: DICOMwebClient, service: Service, emulator: RunningServer
    ) -> None:
        class TokenAndHost(Token):
            def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
                request.headers.pop("Host", None)
                return super().__call__(request)

        session = create_session_from_auth(TokenAndHost(emulator.credential))
        mended = DICOMwebClient(service.v2, session=session, callback=without_charset)
        for client, base in ((answering_client, re.sub(":[0-9]+", "", service.v2)), (mended, service.v2)):
            file = instance()
            answer = client.store_instances([read(file)])
            assert answer.ReferencedSOPSequence[0].RetrieveURL == f"{base}/{path(file)}"


class TestTryingAgain:
    """The client repeats a request that fails with 503, up to five times."""

    @pytest.fixture(autouse=True)
    def without_waiting(self, client: DICOMwebClient) -> None:
        client.set_http_retry_params(wait_exponential_multiplier=0)

    def test_a_search(self, client: DICOMwebClient, service: Service) -> None:
        service.store(instance())
        fail_once(service, path="/v2/studies", count=2)
        assert len(client.search_for_studies()) == 1
        assert [each["status"] for each in last_requests(service, 3)] == [503, 503, 200]

    def test_a_store_request_in_one_piece(self, client: DICOMwebClient, service: Service) -> None:
        file = instance()
        fail_once(service, method="POST")
        client.store_instances([read(file)])
        assert stored_bytes(service, file) == file

    def test_a_store_request_in_chunks_loses_everything_and_raises_nothing(
        self, client: DICOMwebClient, service: Service
    ) -> None:
        client.set_chunk_size(100)
        fail_once(service, method="POST")
        client.store_instances([read(instance())])
        assert [(each["status"], each["requestBytes"] > 0) for each in last_requests(service, 2)] == [
            (503, True),
            (204, False),
        ]
        assert is_empty(service)

    def test_chunks_are_safe_when_it_does_not_try_again(self, client: DICOMwebClient, service: Service) -> None:
        client.set_chunk_size(100)
        client.set_http_retry_params(retry=False)
        fail_once(service, method="POST")
        file = instance()
        assert refused(lambda: client.store_instances([read(file)])).status_code == 503
        client.store_instances([read(file)])
        assert stored_bytes(service, file) == file


class TestSearch:
    @pytest.mark.parametrize(
        ("filters", "found"),
        [
            ({}, ["A", "B"]),
            ({"PatientID": "A"}, ["A"]),
            ({"00100020": "A"}, ["A"]),
            ({"PatientID": "A", "StudyDate": "20260101"}, []),
            ({"StudyDate": "20250101-20251231"}, ["A"]),
            ({"StudyDate": "20250601-"}, ["A", "B"]),
            ({"PatientName": "smith^jane"}, ["A"]),
            ({"PatientName": "smi*"}, []),
            ({"ModalitiesInStudy": "CT"}, ["A"]),
            ({"StudyDescription": "Knee & hip"}, ["B"]),
        ],
    )
    def test_studies(self, client: DICOMwebClient, service: Service, filters: dict, found: list[str]) -> None:
        service.store(*a_study(PatientID="A", PatientName="Smith^Jane", StudyDate="20250630"))
        b = {"PatientID": "B", "PatientName": "Jones^Jo", "StudyDate": "20260101", "StudyDescription": "Knee & hip"}
        service.store(instance(**b))
        rows = client.search_for_studies(search_filters=filters)
        assert sorted(row["00100020"]["Value"][0] for row in rows) == found

    def test_fuzzy(self, client: DICOMwebClient, service: Service) -> None:
        service.store(instance(PatientName="Smith^Jane"))
        for fuzzy, found in ((True, 1), (False, 0), (None, 0)):
            assert len(client.search_for_studies(fuzzymatching=fuzzy, search_filters={"PatientName": "jan"})) == found

    def test_series(self, client: DICOMwebClient, service: Service) -> None:
        files = a_study()
        service.store(*files, instance(Modality="CT"))
        study, series, _ = uids(files[2])
        assert len(client.search_for_series()) == 3
        assert len(client.search_for_series(study)) == 2
        rows = client.search_for_series(study, search_filters={"Modality": "CT"})
        assert [row["0020000E"]["Value"] for row in rows] == [[series]]

    def test_instances(self, client: DICOMwebClient, service: Service) -> None:
        files = a_study()
        service.store(*files, instance())
        study, series, sop = uids(files[0])
        assert len(client.search_for_instances()) == 4
        assert len(client.search_for_instances(study)) == 3
        assert len(client.search_for_instances(study, series)) == 2
        rows = client.search_for_instances(study, series, search_filters={"SOPInstanceUID": sop})
        assert [row["00080018"]["Value"] for row in rows] == [[sop]]

    def test_pages(self, client: DICOMwebClient, service: Service) -> None:
        service.store(*(instance() for _ in range(5)))
        everything = client.search_for_instances()
        assert len(everything) == 5
        pages = [client.search_for_instances(limit=2, offset=offset) for offset in (0, 2, 4, 6)]
        assert pages == [everything[0:2], everything[2:4], everything[4:], []]

    def test_all_pages_at_once(self, client: DICOMwebClient, service: Service) -> None:
        service.store(*(instance() for _ in range(5)))
        everything = client.search_for_studies()
        assert client.search_for_studies(limit=2, get_remaining=True) == everything
        assert [each["status"] for each in last_requests(service, 4)] == [200, 200, 200, 204]

    def test_fields(self, client: DICOMwebClient, service: Service) -> None:
        service.store(*a_study(PatientSex="F"))
        (plain,) = client.search_for_studies()
        assert "00100040" not in plain
        (row,) = client.search_for_studies(fields=["PatientSex", "00201208", "ModalitiesInStudy"])
        assert row["00100040"] == {"vr": "CS", "Value": ["F"]}
        assert row["00201208"] == {"vr": "IS", "Value": [3]}
        assert sorted(row["00080061"]["Value"]) == ["CT", "OT"]

    def test_all_fields(self, client: DICOMwebClient, service: Service) -> None:
        service.store(instance(StudyID="7"))
        assert client.search_for_studies(fields=["all"])[0]["00200010"]["Value"] == ["7"]

    def test_more_parameters(self, client: DICOMwebClient, service: Service) -> None:
        service.store(instance(), instance())
        assert len(client.search_for_studies(additional_params={"limit": 1})) == 1

    def test_an_attribute_that_is_not_searchable_raises_with_the_text_of_the_service(
        self, client: DICOMwebClient
    ) -> None:
        response = refused(lambda: client.search_for_studies(search_filters={"PatientSex": "F"}))
        assert response.status_code == 400
        assert "PatientSex is not queryable" in response.text


class TestMetadata:
    def test_at_each_level(self, client: DICOMwebClient, service: Service) -> None:
        files = a_study()
        service.store(*files)
        study, series, sop = uids(files[0])
        of_study = client.retrieve_study_metadata(study)
        of_series = client.retrieve_series_metadata(study, series)
        of_instance = client.retrieve_instance_metadata(study, series, sop)
        assert [each["00080018"]["Value"][0] for each in of_study] == [uids(file)[2] for file in files]
        assert of_series == of_study[:2]
        assert of_instance == of_study[0]

    @pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small.dcm", "rtplan.dcm", "test-SR.dcm", "waveform_ecg.dcm"])
    def test_pydicom_reads_it_as_the_data_set_that_was_stored(
        self, client: DICOMwebClient, service: Service, name: str
    ) -> None:
        dataset = dcmread(PYDICOM / name)
        dataset.PatientID = dataset.PatientID or "P1"
        file = encoded(dataset)
        service.store(file)
        found = Dataset.from_json(client.retrieve_instance_metadata(*uids(file)))
        assert comparable(found) == comparable(read(file))

    def test_numbers_are_numbers(self, client: DICOMwebClient, service: Service) -> None:
        file = instance(InstanceNumber="007", PatientWeight="61.50")
        service.store(file)
        metadata = client.retrieve_instance_metadata(*uids(file))
        assert metadata["00200013"] == {"vr": "IS", "Value": [7]}
        assert metadata["00101030"] == {"vr": "DS", "Value": [61.5]}
        assert Dataset.from_json(metadata).InstanceNumber == 7

    def test_of_what_is_not_there_raises_404(self, client: DICOMwebClient) -> None:
        response = refused(lambda: client.retrieve_study_metadata(generate_uid()))
        assert (response.status_code, response.text) == (404, "The specified study cannot be found.")


class TestRetrieve:
    @pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
    def test_an_instance_comes_as_it_was_stored(self, client: DICOMwebClient, service: Service, file: Path) -> None:
        service.store(file.read_bytes())
        assert encoded(client.retrieve_instance(*uids(file.read_bytes()))) == file.read_bytes()

    @pytest.mark.parametrize("chunk", [50, 10**6])
    def test_a_study_and_a_series(self, client: DICOMwebClient, service: Service, chunk: int) -> None:
        client.set_chunk_size(chunk)
        files = a_study()
        service.store(*files)
        study, series, _ = uids(files[0])
        assert [encoded(each) for each in client.retrieve_study(study, media_types=AS_STORED)] == files
        assert [encoded(each) for each in client.iter_study(study, media_types=AS_STORED)] == files
        assert [encoded(each) for each in client.retrieve_series(study, series, media_types=AS_STORED)] == files[:2]
        assert [encoded(each) for each in client.iter_series(study, series, media_types=AS_STORED)] == files[:2]

    @pytest.mark.parametrize("media_types", [None, ("application/dicom",), (("application/dicom", JPEG2000Lossless),)])
    def test_several_instances_need_an_asterisk_as_transfer_syntax(
        self, client: DICOMwebClient, service: Service, media_types: Any
    ) -> None:
        files = a_study()
        service.store(*files)
        study, series, _ = uids(files[0])
        for call in (
            lambda: client.retrieve_study(study, media_types=media_types),
            lambda: client.iter_study(study, media_types=media_types),
            lambda: client.retrieve_series(study, series, media_types=media_types),
            lambda: client.iter_series(study, series, media_types=media_types),
        ):
            response = refused(call)
            assert response.status_code == 406 and "transfer-syntax=*" in response.text

    def test_one_instance_needs_none(self, client: DICOMwebClient, service: Service) -> None:
        file = instance()
        service.store(file)
        study, series, _ = uids(file)
        assert [encoded(each) for each in client.retrieve_study(study)] == [file]
        assert [encoded(each) for each in client.retrieve_series(study, series)] == [file]

    @pytest.mark.parametrize(
        ("stored", "wanted"),
        [
            ("MR_small.dcm", JPEG2000Lossless),
            ("MR_small_jp2klossless.dcm", ExplicitVRLittleEndian),
            ("MR_small_RLE.dcm", ExplicitVRLittleEndian),
            ("MR_small_bigendian.dcm", JPEG2000Lossless),
        ],
    )
    def test_in_another_transfer_syntax(
        self, client: DICOMwebClient, service: Service, stored: str, wanted: str
    ) -> None:
        file = (PYDICOM / stored).read_bytes()
        service.store(file)
        found = client.retrieve_instance(*uids(file), media_types=(("application/dicom", wanted),))
        assert found.file_meta.TransferSyntaxUID == wanted
        assert numpy.array_equal(found.pixel_array, read(file).pixel_array)

    def test_a_transfer_syntax_that_the_service_does_not_make_raises_406(
        self, client: DICOMwebClient, service: Service
    ) -> None:
        file = instance(pixels=pixels(0))
        service.store(file)
        wish = (("application/dicom", "1.2.840.10008.1.2.4.50"),)
        assert refused(lambda: client.retrieve_instance(*uids(file), media_types=wish)).status_code == 406


class TestFrames:
    @pytest.fixture
    def frames(self) -> numpy.ndarray:
        return numpy.arange(3 * 4 * 5, dtype="uint16").reshape(3, 4, 5)

    @pytest.mark.parametrize(
        "media_types",
        [
            None,
            (OCTET_STREAM,),
            ((OCTET_STREAM, "*"),),
            ((OCTET_STREAM, ExplicitVRLittleEndian),),
            ("*/*",),
            ((OCTET_STREAM, "*"), ("image/jp2", JPEG2000Lossless)),
        ],
    )
    def test_uncompressed(
        self, client: DICOMwebClient, service: Service, frames: numpy.ndarray, media_types: Any
    ) -> None:
        file = instance(pixels=frames)
        service.store(file)
        wanted = [3, 1, 1]
        expected = [frames[number - 1].tobytes() for number in wanted]
        assert client.retrieve_instance_frames(*uids(file), wanted, media_types=media_types) == expected
        assert list(client.iter_instance_frames(*uids(file), wanted, media_types=media_types)) == expected

    def test_one_by_one_in_small_chunks(self, client: DICOMwebClient, service: Service, frames: numpy.ndarray) -> None:
        client.set_chunk_size(7)
        file = instance(pixels=frames)
        service.store(file)
        assert list(client.iter_instance_frames(*uids(file), [1, 2, 3])) == [frame.tobytes() for frame in frames]

    @pytest.mark.parametrize(
        "media_types", [("image/jp2",), (("image/jp2", JPEG2000Lossless),), ((OCTET_STREAM, "*"),), None]
    )
    def test_jpeg_2000_as_it_was_stored(self, client: DICOMwebClient, service: Service, media_types: Any) -> None:
        file = (PYDICOM / "MR_small_jp2klossless.dcm").read_bytes()
        service.store(file)
        (stored,) = generate_frames(read(file).PixelData, number_of_frames=1)
        (found,) = client.retrieve_instance_frames(*uids(file), [1], media_types=media_types)
        assert found == stored

    def test_of_several_wishes_one_that_the_service_has_is_taken(
        self, client: DICOMwebClient, service: Service
    ) -> None:
        file = (PYDICOM / "MR_small_jp2klossless.dcm").read_bytes()
        service.store(file)
        wishes = (("image/jpeg", "1.2.840.10008.1.2.4.50"), ("image/jp2", JPEG2000Lossless))
        assert client.retrieve_instance_frames(*uids(file), [1], media_types=wishes) == list(
            generate_frames(read(file).PixelData, number_of_frames=1)
        )

    def test_jpeg_2000_decoded(self, client: DICOMwebClient, service: Service) -> None:
        file = (PYDICOM / "MR_small_jp2klossless.dcm").read_bytes()
        service.store(file)
        (found,) = client.retrieve_instance_frames(*uids(file), [1], media_types=(OCTET_STREAM,))
        assert found == read(file).pixel_array.tobytes()

    @pytest.mark.parametrize("media_types", [("image/jpeg",), ("image/*",), ("image/jls",), ("video/mp4",)])
    def test_what_the_service_does_not_make_raises_406(
        self, client: DICOMwebClient, service: Service, frames: numpy.ndarray, media_types: Any
    ) -> None:
        file = instance(pixels=frames)
        service.store(file)
        call = client.retrieve_instance_frames
        assert refused(lambda: call(*uids(file), [1], media_types=media_types)).status_code == 406

    def test_beyond_the_end_raises_404(self, client: DICOMwebClient, service: Service, frames: numpy.ndarray) -> None:
        file = instance(pixels=frames)
        service.store(file)
        response = refused(lambda: client.retrieve_instance_frames(*uids(file), [4]))
        assert (response.status_code, response.text) == (404, "The specified frame cannot be found.")


class TestRendered:
    def test_an_instance_and_a_frame_as_png(self, client: DICOMwebClient, service: Service) -> None:
        file = (SAMPLES / "blue-circle.dcm").read_bytes()
        service.store(file)
        png = client.retrieve_instance_rendered(*uids(file), media_types=("image/png",))
        assert numpy.array_equal(numpy.asarray(Image.open(io.BytesIO(png))), read(file).pixel_array)
        assert client.retrieve_instance_frames_rendered(*uids(file), [1], media_types=("image/png",)) == png

    def test_quality_of_a_jpeg(self, client: DICOMwebClient, service: Service) -> None:
        file = (SAMPLES / "blue-circle.dcm").read_bytes()
        service.store(file)
        best, worst = (
            client.retrieve_instance_rendered(*uids(file), media_types=("image/jpeg",), params={"quality": quality})
            for quality in (100, 10)
        )
        assert Image.open(io.BytesIO(best)).format == Image.open(io.BytesIO(worst)).format == "JPEG"
        assert len(worst) < len(best)

    @pytest.mark.parametrize("media_types", [None, ("image/*",), ("image/jpeg", "image/png"), ("image/gif",)])
    def test_anything_but_one_exact_media_type_raises_406(
        self, client: DICOMwebClient, service: Service, media_types: Any
    ) -> None:
        file = instance(pixels=pixels(0))
        service.store(file)
        one = refused(lambda: client.retrieve_instance_rendered(*uids(file), media_types=media_types))
        frame = refused(lambda: client.retrieve_instance_frames_rendered(*uids(file), [1], media_types=media_types))
        assert (one.status_code, frame.status_code) == (406, 406)

    def test_two_frames_in_one_picture_raise_400(self, client: DICOMwebClient, service: Service) -> None:
        file = instance(pixels=numpy.zeros((2, 3, 4), dtype="uint8"))
        service.store(file)
        call = client.retrieve_instance_frames_rendered
        assert refused(lambda: call(*uids(file), [1, 2], media_types=("image/png",))).status_code == 400


class TestDelete:
    def test_instance_series_and_study(self, client: DICOMwebClient, service: Service) -> None:
        files = a_study()
        service.store(*files)
        study, series, sop = uids(files[0])
        client.delete_instance(study, series, sop)
        assert len(client.search_for_instances(study)) == 2
        client.delete_series(study, series)
        assert len(client.search_for_instances(study)) == 1
        client.delete_study(study)
        assert client.search_for_studies() == []
        assert [event["action"] for event in change_feed(service)] == ["Create"] * 3 + ["Delete"] * 3

    def test_what_is_not_there_raises_404(self, client: DICOMwebClient) -> None:
        study, series, sop = generate_uid(), generate_uid(), generate_uid()
        for call in (
            lambda: client.delete_study(study),
            lambda: client.delete_series(study, series),
            lambda: client.delete_instance(study, series, sop),
        ):
            assert refused(call).status_code == 404


class TestWhatTheServiceLacks:
    def test_a_rendered_series_raises_404(self, client: DICOMwebClient, service: Service) -> None:
        file = instance(pixels=pixels(0))
        service.store(file)
        study, series, _ = uids(file)
        call = client.retrieve_series_rendered
        assert refused(lambda: call(study, series, media_types=("image/png",))).status_code == 404

    def test_metadata_names_no_bulk_data_and_asking_for_it_raises_404(
        self, client: DICOMwebClient, service: Service
    ) -> None:
        file = instance(pixels=pixels(0))
        service.store(file)
        assert "7FE00010" not in client.retrieve_instance_metadata(*uids(file))
        url = f"{service.v2}/{path(file)}/bulkdata/7FE00010"
        assert refused(lambda: client.retrieve_bulkdata(url)).status_code == 404
        assert refused(lambda: list(client.iter_bulkdata(url))).status_code == 404

    def test_frames_can_be_fetched_as_bulk_data_but_no_part_of_one(
        self, client: DICOMwebClient, service: Service
    ) -> None:
        file = instance(pixels=pixels(0))
        service.store(file)
        url = f"{service.v2}/{path(file)}/frames/1"
        assert client.retrieve_bulkdata(url) == [pixels(0).tobytes()]
        assert list(client.iter_bulkdata(url, byte_range=(0, 3))) == [pixels(0).tobytes()]


def test_a_partition_is_part_of_the_address() -> None:
    with own_emulator(partitions=True) as service:
        headers = {"Authorization": str(service.owner.headers["Authorization"])}
        clinic, hospital = (
            DICOMwebClient(f"{service.v2}/partitions/{name}", headers=headers) for name in ("clinic-a", "hospital")
        )
        file, other = instance(), instance()
        clinic.store_instances([read(file)])
        hospital.store_instances([read(other)])
        assert encoded(clinic.retrieve_instance(*uids(file))) == file
        assert [row["0020000D"]["Value"] for row in hospital.search_for_studies()] == [[uids(other)[0]]]
        assert refused(lambda: hospital.retrieve_instance(*uids(file))).status_code == 404


def test_every_method_of_the_client_is_tried_here() -> None:
    """A later version of dicomweb-client with a new method makes this fail."""
    calls = {name for name in vars(DICOMwebClient) if not name.startswith("_")}
    about_no_service = {"lookup_keyword", "lookup_tag"}
    source = Path(__file__).read_text("utf-8")
    assert {name for name in calls - about_no_service if f"client.{name}" not in source} == set()
