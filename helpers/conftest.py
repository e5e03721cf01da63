"""What the examples in the docstrings refer to."""

import pytest
import requests
from azure.core.credentials import AccessToken
from pydicom.dataset import Dataset

from helpers.multipart import encode_multipart_related

# A file of settings, for Jupyter's server alone.
collect_ignore = ["lab/jupyter_server_config.py"]


class ExampleCredential:
    def get_token(self, *scopes: str) -> AccessToken:
        return AccessToken("example", 4_000_000_000)


def example_response(status: int, reason: str, content_type: str, body: bytes) -> requests.Response:
    request = requests.Request(
        "GET",
        "http://127.0.0.1:34113/v2/studies/1.2.826.0.1.3680043.8.498.13230779778012324449356534479549187420",
        headers={"Accept": "image/gif", "Authorization": "Bearer example"},
    )
    response = requests.Response()
    response.request = request.prepare()
    response.url = response.request.url or ""
    response.status_code, response.reason = status, reason
    response._content, response._content_consumed = body, True
    response.headers["Content-Type"] = content_type
    return response


def example_dataset() -> Dataset:
    dataset = Dataset()
    dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = 2, 3, 1
    dataset.BitsAllocated, dataset.BitsStored, dataset.PixelRepresentation = 8, 8, 0
    dataset.PhotometricInterpretation = "MONOCHROME2"
    return dataset


@pytest.fixture(autouse=True)
def examples(doctest_namespace: dict[str, object]) -> None:
    body, content_type = encode_multipart_related([b"DICM", b"two"])
    doctest_namespace.update(
        requests=requests,
        example_credential=ExampleCredential(),
        example_reply=example_response(200, "OK", content_type, body),
        example_refusal=example_response(
            406, "Not Acceptable", "text/plain; charset=utf-8", b"The request headers are not acceptable"
        ),
        example_dataset=example_dataset(),
    )
