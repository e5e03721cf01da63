"""start_lesson(): a session that is signed in to a DICOM service in a known state."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import requests
from azure.core.credentials import TokenCredential
from azure.identity import DefaultAzureCredential

from helpers.auth import BearerAuth, sign_in_advice
from helpers.errors import HelperError
from helpers.multipart import MultipartRelatedStream
from helpers.service import EmulatorCredential, choose_service, server_name, signs_in_at_emulator
from helpers.session import SAMPLE_DCMS, LessonSession

TUTORIAL_STUDY = "1.2.826.0.1.3680043.8.498.13230779778012324449356534479549187420"
DICOM_JSON = "application/dicom+json"


class LessonError(HelperError):
    """The lesson cannot go on as it should; the parent of the errors below."""


class RefusedSignIn(LessonError):
    """The service does not take the token."""


class WrongRole(LessonError):
    """The person who signed in may not do what the lesson does."""


class NotADicomService(LessonError):
    """Something answers at the address, but it is no DICOM service."""


@dataclass(repr=False)
class Lesson:
    """What a lesson works with.

    `client` is a requests.Session that is signed in, `credential` what it is signed in with; `service_url` has no
    version in it, `base_url` has; `stored` names the samples that are on the server; `sample_dcms` is their folder;
    `partition` is the one that DICOM_PARTITION names, for a service that a whole class shares.
    """

    name: str
    service_url: str
    client: LessonSession
    credential: TokenCredential
    stored: Sequence[str] = ()
    version: int = 2
    sample_dcms: Path = SAMPLE_DCMS
    partition: str = ""

    @property
    def base_url(self) -> str:
        below = f"/partitions/{self.partition}" if self.partition else ""
        return f"{self.service_url}/v{self.version}{below}"

    def client_as(self, role: str) -> LessonSession:
        """A session that is signed in with another role of the emulator: `reader` or `owner`.

        Raises LessonError on a service that is no emulator: there, an administrator gives roles to people.
        """
        if not signs_in_at_emulator():
            raise LessonError(
                f"only the emulator lets you sign in as its {role}. On {server_name(self.service_url)}, ask for a "
                "second account that has the role DICOM Data Reader, or read on without running this cell."
            )
        return LessonSession(BearerAuth(EmulatorCredential(role)), self.client.allow)

    def allow_upload(self, reason: str) -> None:
        """Let this lesson send other files than the samples to another machine; `reason` says what they are."""
        self.client.allow = in_words(reason)

    def __repr__(self) -> str:
        facts = [
            f"Lesson {self.name}",
            server_name(self.service_url),
            f"API v{self.version}",
            f"signed in with {type(self.credential).__name__}",
            f"stored: {', '.join(self.stored) or 'nothing'}",
        ]
        if self.partition:
            facts.insert(3, f"partition {self.partition}")
        if self.client.allow:
            facts.append(f"uploads allowed: {self.client.allow}")
        return " · ".join(facts)


def start_lesson(name: str, instances: Iterable[str] = (), allow: str | None = None) -> Lesson:
    """Begin lesson `name` on a server that holds, of the tutorial's study, the named `instances` and no others.

    The server is the one that DICOM_SERVICE_URL names, or else an emulator of this kernel's own. Either way the lesson
    signs in with azure-identity's DefaultAzureCredential. Other studies on the server are left alone.
    `instances` are names of files in sample_dcms, stored in this order. `allow` says in words what else than the
    samples you want to send to a server that is not this machine; patient data never belongs there.

    Raises a HelperError whose message says what to do: the service cannot be reached or is none, it refuses the
    sign-in or the role, a sample does not exist.
    """
    samples = [sample_path(instance) for instance in instances]
    service_url = choose_service()
    credential = DefaultAzureCredential()
    client = LessonSession(BearerAuth(credential), None if allow is None else in_words(allow))
    lesson = Lesson(
        name, service_url, client, credential, [path.stem for path in samples], partition=chosen_partition()
    )
    if lesson.partition:
        make_partition(lesson)
    expect_dicom_service(lesson)
    empty_tutorial_study(lesson)
    store(lesson, samples)
    return lesson


def chosen_partition() -> str:
    """The partition that DICOM_PARTITION names, of a service that is named as well; one's own emulator has none."""
    return os.environ.get("DICOM_PARTITION", "").strip() if os.environ.get("DICOM_SERVICE_URL", "").strip() else ""


def sample_path(name: str) -> Path:
    path = SAMPLE_DCMS / f"{name.removesuffix('.dcm')}.dcm"
    if not path.is_file():
        known = ", ".join(sorted(other.stem for other in SAMPLE_DCMS.glob("*.dcm"))) or "none"
        raise LessonError(f"there is no sample `{name}` in the folder sample_dcms. There are: {known}.")
    return path


def in_words(reason: str) -> str:
    if not isinstance(reason, str) or not reason.strip():
        raise LessonError('say in words what may be uploaded, for example allow="test images I made myself"')
    return reason.strip()


def expect_dicom_service(lesson: Lesson) -> None:
    """Ask a harmless question that only a DICOM service answers as expected."""
    url = f"{lesson.base_url}/studies?limit=1"
    response = lesson.client.get(url, headers={"Accept": DICOM_JSON}, allow_redirects=False)
    check_permission(lesson, response, "look for studies")
    content_type = response.headers.get("Content-Type", "")
    if response.status_code == 204 or (response.status_code == 200 and content_type.startswith(DICOM_JSON)):
        return
    raise NotADicomService(
        f"{lesson.service_url} is no DICOM service: it answered GET /v{lesson.version}/studies with "
        f"{response.status_code} {content_type or 'and no content type'}. DICOM_SERVICE_URL should be the service URL "
        "of the portal, such as https://….dicom.azurehealthcareapis.com; without it, the emulator is used."
    )


def make_partition(lesson: Lesson) -> None:
    """Store a sample, whichever, since the first store makes a partition, and until then there is none to be asked."""
    body = MultipartRelatedStream([sample_path("blue-circle")])
    headers = {"Content-Type": body.content_type, "Accept": DICOM_JSON}
    response = lesson.client.post(f"{lesson.base_url}/studies", data=body, headers=headers)
    check_permission(lesson, response, "store a sample")
    if response.status_code not in (200, 409):  # it was there already
        raise unexpected(lesson, f"storing a sample in the partition {lesson.partition}", response)


def empty_tutorial_study(lesson: Lesson) -> None:
    response = lesson.client.delete(f"{lesson.base_url}/studies/{TUTORIAL_STUDY}")
    check_permission(lesson, response, "delete the tutorial's study")
    if response.status_code not in (204, 404):
        raise unexpected(lesson, "deleting the tutorial's study", response)


def store(lesson: Lesson, samples: Sequence[Path]) -> None:
    if not samples:
        return
    body = MultipartRelatedStream(samples)
    headers = {"Content-Type": body.content_type, "Accept": DICOM_JSON}
    response = lesson.client.post(f"{lesson.base_url}/studies", data=body, headers=headers)
    check_permission(lesson, response, "store the samples")
    if response.status_code != 200:
        raise unexpected(lesson, f"storing {', '.join(lesson.stored)}", response)


def check_permission(lesson: Lesson, response: requests.Response, what: str) -> None:
    """Turn 401 and 403 into sentences that say what is missing."""
    server = server_name(lesson.service_url)
    if response.status_code == 401:
        raise RefusedSignIn(
            f"{server} does not take the token of {type(lesson.credential).__name__} (401). "
            f"Is it the right account, and the right service? {sign_in_advice()}"
        )
    if response.status_code == 403:
        raise WrongRole(
            f"you are signed in to {server}, but may not {what} (403). The lessons need the role DICOM Data Owner: "
            "in the portal, an administrator gives it to you under Access control (IAM); for an emulator, set "
            "IDENTITY_HEADER=owner and restart the kernel."
        )


def unexpected(lesson: Lesson, what: str, response: requests.Response) -> LessonError:
    return LessonError(
        f"{what} on {server_name(lesson.service_url)} was answered with {response.status_code} {response.reason}: "
        f"{response.text[:300] or 'no text'}. Run the cell again; if that does not help, look at the service's health."
    )
