"""The check against a server of other people: full of differences, told to the end, and left clean."""

from collections.abc import Callable
from pathlib import Path

import requests
from starlette.requests import Request

from dicom_emulator import RunningServer
from tests.azure_check.conftest import Checked
from tests.azure_check.proxy import Reply, proxy
from tests.clients import orthanc

Check = Callable[..., Checked]


def test_orthanc_differs_in_much_and_is_left_clean(emulator: RunningServer, tmp_path: Path, check: Check) -> None:
    """Orthanc has no DELETE in DICOMweb, so the proxy translates it into one of its own interface."""
    folder = tmp_path / "orthanc"
    folder.mkdir()
    with orthanc.running(folder, "/v2") as url:
        root = url.removesuffix("/v2")

        def delete(request: Request) -> Reply | None:
            if request.method != "DELETE":
                return None
            wanted = request.url.path.rpartition("/")[2]
            known = requests.post(f"{root}/tools/lookup", data=wanted, timeout=30).json()
            for each in known:
                requests.delete(root + each["Path"], timeout=30)
            return Reply("DELETE", request.url.path, 204 if known else 404, {}, b"")

        with proxy(root, instead=delete) as there:
            environment = {**emulator.environment, "DICOM_SERVICE_URL": there}
            done = check(environment, "--yes", "--lessons", "04")
            left = requests.get(f"{root}/studies", timeout=30).json()
    assert (done.code, left, done.report["unfinished"]) == (1, [], "")
    assert [each["lesson"][:2] for each in done.report["lessons"]] == ["04"]
    found = done.differences
    assert ("status", "204", "200") in found  # a search that finds nothing: the README's first row about Orthanc
    assert ("status", "400", "200") in found  # an attribute that is unknown, or not searchable in Azure
    assert len(found) > 10
    assert "Traceback" not in done.output
