"""The JavaScript library dicomweb-client, as it comes from npm and as OHIF uses it, against the emulator."""

import base64
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pydicom
import pytest
from pydicom.encaps import generate_frames
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless

from tests.copies import install_with_npm
from tests.emulator.conftest import Service
from tests.emulator.dicom_files import instance, path, uids
from tests.emulator.storing import change_feed, is_empty

HERE = Path(__file__).parent / "javascript"
JPEG_2000 = Path(pydicom.__file__).parent / "data" / "test_files" / "MR_small_jp2klossless.dcm"
AS_STORED = 'multipart/related; type="application/dicom"; transfer-syntax=*'

Run = Callable[..., Any]


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install_with_npm(HERE, tmp_path_factory.mktemp("javascript")) / "run.mjs"


@pytest.fixture
def run(program: Path, service: Service) -> Run:
    """Call one method of a client made in node and see what it gives: run(method, client={options}, **options).

    Binary results come as dictionaries with `content`. A call that fails gives "error", "status" and "text".
    """

    def call(method: str, client: dict[str, Any] | None = None, **options: Any) -> Any:
        settings = {"url": service.v2, "headers": {"Authorization": service.owner.headers["Authorization"]}}
        if "headers" in (client or {}):
            settings["headers"] = settings["headers"] | client["headers"]
        options["datasets"] = [base64.b64encode(file).decode() for file in options.get("datasets", [])]
        calls = [{"method": method, "options": {name: value for name, value in options.items() if value}}]
        done = subprocess.run(
            ["node", program],
            input=json.dumps({"client": settings, "calls": calls}),
            capture_output=True,
            encoding="utf-8",
            check=True,
        )
        return json.loads(done.stdout, object_hook=with_content)[0]

    return call


def with_content(value: dict) -> dict:
    return value | {"content": base64.b64decode(value["base64"])} if "base64" in value else value


def address(file: bytes, level: str = "instance") -> dict[str, str]:
    """The UIDs of `file`, named as the client's options are."""
    names = ["studyInstanceUID", "seriesInstanceUID", "sopInstanceUID"]
    return dict(zip(names[: {"study": 1, "series": 2, "instance": 3}[level]], uids(file), strict=False))


def a_study(**attributes: Any) -> list[bytes]:
    """Two files of one study, in a series each."""
    first = instance(pixels=pixels(), **attributes)
    return [first, instance(StudyInstanceUID=uids(first)[0], Modality="CT", **attributes)]


def pixels(frames: int = 1) -> numpy.ndarray:
    return numpy.arange(frames * 12, dtype="uint8").reshape(frames, 3, 4)


class TestSignIn:
    def test_the_token_is_one_of_the_headers(self, run: Run) -> None:
        assert run("searchForStudies") == []

    def test_without_it_the_call_fails_with_401(self, run: Run) -> None:
        answer = run("searchForStudies", client={"headers": {"Authorization": ""}})
        assert answer == {"error": "request failed", "status": 401, "text": None}


class TestStore:
    def test_files_arrive_byte_for_byte(self, run: Run, service: Service) -> None:
        files = [JPEG_2000.read_bytes(), *a_study()]
        answer = json.loads(run("storeInstances", datasets=files))
        assert [item["00081155"]["Value"][0] for item in answer["00081199"]["Value"]] == [
            uids(file)[2] for file in files
        ]
        headers = {"Accept": "application/dicom; transfer-syntax=*"}
        for file in files:
            assert service.owner.get(f"{service.v2}/{path(file)}", headers=headers).content == file

    def test_into_a_study_some_are_refused(self, run: Run) -> None:
        file, other = instance(), instance()
        answer = json.loads(run("storeInstances", datasets=[file, other], **address(file, "study")))
        assert len(answer["00081199"]["Value"]) == len(answer["00081198"]["Value"]) == 1

    def test_what_is_there_already_fails_and_the_reason_is_in_the_response(self, run: Run, service: Service) -> None:
        file = instance()
        service.store(file)
        answer = run("storeInstances", datasets=[file])
        assert answer["status"] == 409
        assert json.loads(answer["text"])["00081198"]["Value"][0]["00081197"] == {"vr": "US", "Value": [45070]}

    def test_a_reader_may_not(self, run: Run, service: Service) -> None:
        token = {"Authorization": service.reader.headers["Authorization"]}
        answer = run("storeInstances", client={"headers": token}, datasets=[instance()])
        assert (answer["status"], answer["text"]) == (403, "Authorization failed.")
        assert is_empty(service)


class TestSearch:
    @pytest.mark.parametrize(
        ("method", "level", "query", "count"),
        [
            ("searchForStudies", None, {}, 2),
            ("searchForStudies", None, {"PatientName": "Müller^Zoë"}, 1),
            ("searchForStudies", None, {"PatientName": "mül", "fuzzymatching": "true"}, 1),
            ("searchForStudies", None, {"limit": 1, "offset": 1}, 1),
            ("searchForStudies", None, {"limit": 1, "offset": 2}, 0),
            ("searchForSeries", None, {"Modality": "CT"}, 1),
            ("searchForSeries", "study", {}, 2),
            ("searchForInstances", None, {}, 3),
            ("searchForInstances", "study", {}, 2),
            ("searchForInstances", "series", {}, 1),
        ],
    )
    def test_rows(
        self, run: Run, service: Service, method: str, level: str | None, query: dict[str, Any], count: int
    ) -> None:
        files = a_study(PatientName="Müller^Zoë")
        service.store(*files, instance())
        where = address(files[0], level) if level else {}
        assert len(run(method, queryParams=query, **where)) == count

    def test_fields(self, run: Run, service: Service) -> None:
        service.store(*a_study(PatientSex="F"))
        (row,) = run("searchForStudies", queryParams={"includefield": "PatientSex,00201208"})
        assert row["00100040"] == {"vr": "CS", "Value": ["F"]}
        assert row["00201208"] == {"vr": "IS", "Value": [2]}

    def test_a_bad_query_fails_with_the_text_of_the_service(self, run: Run) -> None:
        # XMLHttpRequest gives no text where JSON was asked for: only the status tells.
        assert run("searchForStudies", queryParams={"PatientSex": "F"})["status"] == 400


class TestMetadata:
    @pytest.mark.parametrize(
        ("method", "level", "count"),
        [
            ("retrieveStudyMetadata", "study", 2),
            ("retrieveSeriesMetadata", "series", 1),
            ("retrieveInstanceMetadata", "instance", 1),
        ],
    )
    def test_at_each_level(self, run: Run, service: Service, method: str, level: str, count: int) -> None:
        files = a_study(PatientName="Müller^Zoë", InstanceNumber=7)
        service.store(*files)
        found = run(method, **address(files[0], level))
        headers = {"Accept": "application/dicom+json"}
        assert found == service.owner.get(f"{service.v2}/{path(files[0], level)}/metadata", headers=headers).json()
        assert len(found) == count
        assert found[0]["00100010"]["Value"] == [{"Alphabetic": "Müller^Zoë"}]
        assert found[0]["00200013"] == {"vr": "IS", "Value": [7]}


class TestRetrieve:
    def test_an_instance(self, run: Run, service: Service) -> None:
        (file, _) = a_study()
        service.store(file)
        assert run("retrieveInstance", **address(file))["content"] == file

    def test_one_that_is_compressed_is_decoded_unless_the_header_says_as_stored(
        self, run: Run, service: Service
    ) -> None:
        file = JPEG_2000.read_bytes()
        service.store(file)
        decoded = run("retrieveInstance", **address(file))
        assert decoded["transferSyntaxUID"] == ExplicitVRLittleEndian and decoded["content"] != file
        stored = run("retrieveInstance", client={"headers": {"Accept": AS_STORED}}, **address(file))
        assert stored["transferSyntaxUID"] == JPEG2000Lossless and stored["content"] == file

    @pytest.mark.parametrize(("method", "level"), [("retrieveStudy", "study"), ("retrieveSeries", "series")])
    def test_several_need_a_header_that_says_as_stored(
        self, run: Run, service: Service, method: str, level: str
    ) -> None:
        first = instance(pixels=pixels())
        study, series, _ = uids(first)
        files = [first, instance(StudyInstanceUID=study, SeriesInstanceUID=series)]
        service.store(*files)
        answer = run(method, **address(first, level))
        assert answer["status"] == 406 and "transfer-syntax=*" in answer["text"]
        found = run(method, client={"headers": {"Accept": AS_STORED}}, **address(first, level))
        assert [each["content"] for each in found] == files

    def test_the_client_refuses_media_types_for_whole_instances_by_itself(self, run: Run, service: Service) -> None:
        file = instance()
        service.store(file)
        wish = [{"mediaType": "application/dicom", "transferSyntaxUID": "*"}]
        answer = run("retrieveStudy", mediaTypes=wish, **address(file, "study"))
        assert answer["error"] == "Media type application/ is not supported for retrieval of study."


class TestFrames:
    def test_uncompressed(self, run: Run, service: Service) -> None:
        file = instance(pixels=pixels(3))
        service.store(file)
        found = run("retrieveInstanceFrames", frameNumbers=[3, 1], **address(file))
        assert [each["content"] for each in found] == [pixels(3)[2].tobytes(), pixels(3)[0].tobytes()]
        assert {each["contentType"] for each in found} == {"application/octet-stream"}

    @pytest.mark.parametrize(
        "wish",
        [
            {"mediaType": "image/jp2", "transferSyntaxUID": JPEG2000Lossless},
            {"mediaType": "application/octet-stream", "transferSyntaxUID": "*"},
        ],
        ids=["image/jp2", "as stored"],
    )
    def test_jpeg_2000(self, run: Run, service: Service, wish: dict[str, str]) -> None:
        file = JPEG_2000.read_bytes()
        service.store(file)
        (found,) = run("retrieveInstanceFrames", frameNumbers=[1], mediaTypes=[wish], **address(file))
        assert [found["content"]] == list(generate_frames(pydicom.dcmread(JPEG_2000).PixelData, number_of_frames=1))
        assert found["transferSyntaxUID"] == JPEG2000Lossless

    def test_beyond_the_end_fails_with_404(self, run: Run, service: Service) -> None:
        file = instance(pixels=pixels(2))
        service.store(file)
        answer = run("retrieveInstanceFrames", frameNumbers=[3], **address(file))
        assert (answer["status"], answer["text"]) == (404, "The specified frame cannot be found.")

    def test_as_bulk_data(self, run: Run, service: Service) -> None:
        file = instance(pixels=pixels())
        service.store(file)
        (found,) = run("retrieveBulkData", BulkDataURI=f"{service.v2}/{path(file)}/frames/1")
        assert found["content"] == pixels().tobytes()


class TestRendered:
    @pytest.mark.parametrize(
        ("method", "more"),
        [("retrieveInstanceRendered", {}), ("retrieveInstanceFramesRendered", {"frameNumbers": [1]})],
    )
    def test_one_media_type_is_needed(self, run: Run, service: Service, method: str, more: dict) -> None:
        file = instance(pixels=pixels())
        service.store(file)
        assert run(method, **more, **address(file))["status"] == 406
        both = [{"mediaType": "image/png"}, {"mediaType": "image/jpeg"}]
        assert run(method, mediaTypes=both, **more, **address(file))["status"] == 406
        (found,) = run(method, mediaTypes=both[:1], **more, **address(file))
        assert found["contentType"] == "image/png" and found["content"].startswith(b"\x89PNG")


class TestWhatTheServiceLacks:
    @pytest.mark.parametrize(
        ("method", "more"),
        [("retrieveInstanceThumbnail", {}), ("retrieveInstanceFramesThumbnail", {"frameNumbers": [1]})],
    )
    def test_thumbnails_fail_with_404(self, run: Run, service: Service, method: str, more: dict) -> None:
        file = instance(pixels=pixels())
        service.store(file)
        assert run(method, mediaTypes=[{"mediaType": "image/png"}], **more, **address(file))["status"] == 404

    def test_there_is_no_wado_uri(self, run: Run, service: Service) -> None:
        file = instance()
        service.store(file)
        assert service.owner.get(run("buildInstanceWadoURIUrl", **address(file))).status_code == 404


def node(program: Path, script: str, *arguments: str) -> str:
    command = ["node", "--input-type=module", "--eval", script, *arguments]
    done = subprocess.run(command, cwd=program.parent, capture_output=True, encoding="utf-8", check=True)
    return done.stdout.strip()


def test_fetch_deletes(service: Service, program: Path) -> None:
    file = instance()
    service.store(file)
    script = """
        const [, url, token] = process.argv;
        console.log((await fetch(url, { method: 'DELETE', headers: { Authorization: token } })).status);
    """
    assert node(program, script, f"{service.v2}/{path(file, 'study')}", service.owner.headers["Authorization"]) == "204"
    assert [event["action"] for event in change_feed(service)] == ["Create", "Delete"]


def test_the_client_has_no_method_that_deletes_and_every_other_is_tried_here(program: Path) -> None:
    script = """
        import dicomweb from 'dicomweb-client';
        console.log(Object.getOwnPropertyNames(dicomweb.api.DICOMwebClient.prototype).join('\\n'));
    """
    methods = {name for name in node(program, script).split() if not name.startswith("_")}
    about_no_service = {"constructor", "setDebug", "getDebug", "setVerbose", "getVerbose"}
    source = Path(__file__).read_text("utf-8")
    assert {name for name in methods - about_no_service if f'"{name}"' not in source} == set()
    assert "storeInstances" in methods and not [name for name in methods if "delete" in name.lower()]


def test_packages_are_pinned_by_hash_and_no_registry_is_named() -> None:
    packages = json.loads((HERE / "package-lock.json").read_text("utf-8"))["packages"]
    wanted = json.loads((HERE / "package.json").read_text("utf-8"))["dependencies"]
    assert packages.pop("")["dependencies"] == wanted
    assert {name.removeprefix("node_modules/"): each["version"] for name, each in packages.items()} == wanted
    assert all(each["integrity"].startswith("sha512-") and "resolved" not in each for each in packages.values())
