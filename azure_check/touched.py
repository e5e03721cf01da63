"""Which resources a request may change or remove: what the plan lists, the guard holds to, and the end tidies up."""

import json
from collections.abc import Iterable, Iterator, Mapping
from io import BytesIO
from typing import Any
from urllib.parse import unquote, urlsplit

import pydicom
from pydicom.errors import InvalidDicomError

from helpers.multipart import MultipartError, boundary_of, split_parts

HARMLESS = {"GET", "HEAD", "OPTIONS"}
# What pydicom raises at bytes that are no DICOM file, or a damaged one.
UNREADABLE = (
    InvalidDicomError,
    OSError,
    EOFError,
    ArithmeticError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)
EVERYTHING = "everything"  # an export that names no source


def touched(method: str, url: str, headers: Mapping[str, str], body: bytes) -> set[str]:
    """Studies and extended query tags that a request may change, as their paths below the version.

    Work items are not among them: those of the lessons are new in each run, and no request removes one.

    >>> touched("DELETE", "http://127.0.0.1:8080/v2/studies/1.2.3/series/4.5", {}, b"")
    {'studies/1.2.3'}
    >>> touched("POST", "http://127.0.0.1:8080/v1/extendedquerytags", {}, b'[{"Path": "Occupation"}]')
    {'extendedquerytags/Occupation'}
    """
    if method in HARMLESS:
        return set()
    _, _, *path = unquote(urlsplit(url).path).split("/")
    match path:
        case ["extendedquerytags", tag, *_]:
            return {f"extendedquerytags/{tag}"}
        case ["extendedquerytags"]:
            return {f"extendedquerytags/{tag}" for tag in tags_of(body)}
        case ["studies", "$bulkUpdate"] | ["export"]:
            return {f"studies/{study}" if study != EVERYTHING else study for study in named_studies(path[-1], body)}
        case ["studies", study, *_] if study:
            return {f"studies/{study.strip()}", *stored(headers, body)}
        case ["studies", *_]:
            return set(stored(headers, body))
    return set()


def tags_of(body: bytes) -> Iterator[str]:
    entries = parsed(body)
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, dict):
            yield from (str(value) for name, value in entry.items() if name.lower() == "path")


def named_studies(transaction: str, body: bytes) -> Iterable[str]:
    wish = parsed(body)
    if transaction == "$bulkUpdate":
        named = wish.get("studyInstanceUids", []) if isinstance(wish, dict) else []
    elif not isinstance(wish, dict) or "source" not in wish:
        return [EVERYTHING] if wish else []
    else:
        named = wish["source"].get("settings", {}).get("values", [])
    named = [named] if isinstance(named, str) else named
    return {str(each).partition("/")[0] for each in named}


def stored(headers: Mapping[str, str], body: bytes) -> Iterator[str]:
    """The studies of the DICOM files in a body; what cannot be read as one belongs to none."""
    for file in files_of(headers.get("Content-Type", ""), body):
        try:
            data_set = pydicom.dcmread(BytesIO(file), force=True, specific_tags=["StudyInstanceUID"])
            study = str(data_set.get("StudyInstanceUID") or "").strip(" \0")
        except UNREADABLE:
            continue
        if study:
            yield f"studies/{study}"


def files_of(content_type: str, body: bytes) -> list[bytes]:
    if not content_type.lower().startswith("multipart/"):
        return [body] if body else []
    try:
        return [b"".join(map(bytes, part.iter_content())) for part in split_parts([body], boundary_of(content_type))]
    except MultipartError:
        return []


def parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None
