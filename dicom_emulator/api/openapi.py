"""GET /api.json and /api.yaml: the service described in OpenAPI 3.0 (https://spec.openapis.org/oas/v3.0.3)."""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from starlette.responses import PlainTextResponse, Response

from dicom_emulator import versions
from dicom_emulator.api.openapi_operations import DESCRIPTIONS, PATH_PARAMETERS, SCHEMAS, Description
from dicom_emulator.api.transaction import Call, Resource, Transaction
from dicom_emulator.wire.responses import ServiceJson

PLAIN = re.compile(r"(?!(?i:yes|no|on|off|true|false|null|y|n)$)[A-Za-z/][A-Za-z/{}.$-]*")  # keys that need no quotes
Json = dict[str, Any]


def described(routes: Iterable[object], number: str, server: str, partitions: bool) -> Json:
    """The OpenAPI document of one version.

    number: as it stands in the URL, without the "v". server: the URL up to the version.
    partitions: whether the paths name a partition.
    """
    paths: dict[str, Json] = {}
    for resource in routes:
        if not isinstance(resource, Resource) or number not in resource.offered:
            continue
        path = resource.path.removeprefix("/{version}")
        in_partition = partitions and resource.partitioned
        item = paths.setdefault(f"/partitions/{{partition}}{path}" if in_partition else path, {})
        names = re.findall(r"{(\w+)}", path)
        item["parameters"] = [PATH_PARAMETERS[name] for name in ["partition"] * in_partition + names]
        for method, transaction in resource.transactions.items():
            item[method.lower()] = operation(DESCRIPTIONS[method, path], transaction, versions.VERSIONS[number])
    return {
        "openapi": "3.0.3",
        "info": {
            "title": "DICOM service emulator",
            "description": "Azure's DICOM service on this machine.",
            "version": number,
        },
        "servers": [{"url": server}],
        "paths": paths,
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
    }


def operation(description: Description, transaction: Transaction, version: versions.Version) -> Json:
    entry: Json = {
        "operationId": description.name,
        "summary": description.summary,
        "parameters": [*description.parameters(version)],
        "responses": {},
    }
    if description.body:
        entry["requestBody"] = {"required": True, "content": description.body}
    answers: dict[int, Any] = ANYWHERE | description.statuses
    if transaction.action is not None:
        entry["security"] = [{"token": []}]
        answers |= {401: None, 403: "text", 503: "text"}
    if transaction.answers_dicom_json:
        answers.setdefault(406, None)
    if description.body:
        answers |= {408: "text", 413: "text"}
    if transaction.consumes:
        answers.setdefault(415, None)
    entry["responses"] = {str(status): answer(status, answers[status]) for status in sorted(answers)}
    return entry


MEANINGS = {
    200: "Done.",
    201: "Made.",
    202: "Accepted, or done with warnings.",
    204: "Done, or nothing found; no body.",
    304: "Not modified since the given ETag.",
    206: "Some could not be read.",
    400: "The request makes no sense; the text says why.",
    401: "No valid token.",
    403: "The role does not allow it.",
    404: "Not there.",
    406: "Nothing that the Accept header allows.",
    408: "The body did not go on.",
    409: "It conflicts with what is there.",
    413: "Larger than the service takes.",
    414: "The path and the query string are too long.",
    415: "The body's media type is not taken.",
    421: "The Host header names another machine.",
    431: "Too many headers, or too large.",
    503: "Not possible at the moment.",
}
ANYWHERE: dict[int, Any] = {400: "text", 414: "text", 421: "text", 431: "text"}  # whatever the request asks for
TEXT = {"text/plain": {"schema": {"type": "string"}}}


def answer(status: int, content: Any) -> Json:
    """A response; `content`: media types, "text" for a bare sentence, or None for no certain body."""
    entry: Json = {"description": MEANINGS[status]}
    if content == "text":
        entry["content"] = TEXT
    elif content:
        entry["content"] = content
    return entry


def yaml_lines(value: Any, indent: str = "") -> Iterator[str]:
    """A JSON value as lines of YAML 1.2, in which every JSON scalar is a scalar."""
    members = value.items() if isinstance(value, dict) else ((None, each) for each in value)
    for key, member in members:
        head = f"{indent}- " if key is None else f"{indent}{key if PLAIN.fullmatch(key) else json.dumps(key)}:"
        if isinstance(member, dict | list) and member:
            if key is None:
                first, *rest = yaml_lines(member, indent + "  ")
                yield head + first.strip()
                yield from rest
            else:
                yield head
                yield from yaml_lines(member, indent + "  ")
        else:
            yield f"{head}{' ' if key is not None else ''}{json.dumps(member, ensure_ascii=False)}"


def document(call: Call) -> Json:
    number = versions.number_of(call.request.path_params["version"])
    assert number
    return described(call.request.app.routes, number, call.version_url, call.service.settings.partitions)


async def as_json(call: Call) -> Response:
    return ServiceJson(json.dumps(document(call)))


async def as_yaml(call: Call) -> Response:
    return PlainTextResponse("\n".join(yaml_lines(document(call))) + "\n", media_type="application/yaml")


JSON = Transaction(as_json, action=None)
YAML = Transaction(as_yaml, action=None)
