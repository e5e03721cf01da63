"""The service that is checked: looked at before anything is sent, and tidied up afterwards."""

import os
import uuid
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import requests
from azure.identity import DefaultAzureCredential

from azure_check.lessons import Run
from helpers.auth import BearerAuth, InsecureAddress, NotSignedIn, what_was_tried
from helpers.doctor import shown
from helpers.errors import HelperError
from helpers.lesson import DICOM_JSON
from helpers.service import WrongAddress, choose_service
from helpers.session import LessonSession, ServiceTooSlow, ServiceUnreachable

AT_ONCE = 8  # questions


class Stop(Exception):
    """The check cannot begin, or not go on. The text says why, and what to do next."""

    code = 3


class NotOurs(Stop):
    """What is on the service forbids the check, or the person in front of it does."""

    code = 4


class Service:
    """A DICOM service with a signed-in session. `base_url` is that of v2."""

    def __init__(self, url: str, client: requests.Session) -> None:
        self.url = url
        self.base_url = f"{url}/v2"
        self.client = client

    def holds(self, resource: str) -> bool:
        """Whether there is a study or an extended query tag; `resource` is its path below the version."""
        url = f"{self.base_url}/{resource}" + "/metadata" * resource.startswith("studies/")
        response = self.client.get(url, headers={"Accept": DICOM_JSON if "studies" in resource else "application/json"})
        if response.status_code not in (200, 204, 400, 404):
            raise Stop(
                f"The service answered {response.status_code} when it was asked whether it has {resource}, so nothing "
                "was sent. Look at its health in the portal, then type the same command again."
            )
        return response.status_code == 200

    def holding(self, resources: Iterable[str]) -> list[str]:
        """Those of `resources` that are there."""
        wanted = sorted(resources)
        with ThreadPoolExecutor(AT_ONCE) as threads:
            return [resource for resource, there in zip(wanted, threads.map(self.holds, wanted)) if there]

    def remove(self, resources: Iterable[str]) -> Iterator[str]:
        """Delete `resources`; a sentence for each that is still there afterwards. What is not there is no trouble."""
        wanted = sorted(resources)
        for number, resource in enumerate(wanted):
            try:
                status = self.client.delete(f"{self.base_url}/{resource}").status_code
            except (HelperError, requests.RequestException) as problem:
                yield f"{some(wanted[number:])}, since nobody answers any more ({type(problem).__name__})"
                return  # to wait for an answer to each of hundreds would take an hour
            if status not in (204, 404):
                yield f"{resource} (the service answered {status})"

    def holds_other_studies(self, ours: set[str]) -> bool:
        """Whether there is any study besides `ours`. One page is enough: then there are more than the lessons leave."""
        response = self.client.get(f"{self.base_url}/studies?limit=200", headers={"Accept": DICOM_JSON})
        rows = response.json() if response.status_code == 200 else []
        return any(f"studies/{row['0020000D']['Value'][0]}" not in ours for row in rows)

    def last_event(self) -> int:
        """The number of the newest event in the change feed; 0 where there is none, or no change feed."""
        url = f"{self.base_url}/changefeed/latest?includemetadata=false"
        response = self.client.get(url, headers={"Accept": "application/json"})
        return response.json()["sequence"] if response.status_code == 200 else 0


def open_service() -> Service:
    """The service of DICOM_SERVICE_URL, which answers, and on which this person may store and delete.

    Nothing is stored or deleted. Raises Stop.
    """
    if not os.environ.get("DICOM_SERVICE_URL", "").strip():
        raise Stop(
            "DICOM_SERVICE_URL names no service. Set it to the service URL of the portal: "
            "export DICOM_SERVICE_URL=https://WORKSPACE-SERVICE.dicom.azurehealthcareapis.com"
        )
    try:
        url = choose_service()
    except WrongAddress as problem:
        raise Stop(str(problem)) from None
    service = Service(url, LessonSession(BearerAuth(DefaultAzureCredential())))
    try:
        expect_dicom_service(service)
        expect_owner(service)
    except NotSignedIn as problem:
        tried = what_was_tried(problem.__cause__) if isinstance(problem.__cause__, Exception) else ""
        raise Stop(f"You are not signed in. Type: az login  Then the same command again. {tried}") from None
    except InsecureAddress as problem:
        raise Stop(f"DICOM_SERVICE_URL: {problem}") from None
    except ServiceTooSlow:
        raise Stop(f"{shown(url)} did not answer in time. Type the same command again in a few minutes.") from None
    except (ServiceUnreachable, requests.RequestException) as problem:
        raise Stop(
            f"Nobody answers at DICOM_SERVICE_URL, {shown(url)} ({type(problem).__name__}). Is this machine online, "
            "and is the address the service URL of the portal? Correct it, then type the same command again."
        ) from None
    return service


def expect_dicom_service(service: Service) -> None:
    url = f"{service.base_url}/studies?limit=1"
    response = service.client.get(url, headers={"Accept": DICOM_JSON}, allow_redirects=False)
    expect_permission(response)
    content_type = response.headers.get("Content-Type", "")
    if response.status_code != 204 and not (response.status_code == 200 and content_type.startswith(DICOM_JSON)):
        raise Stop(
            f"At {shown(service.url)} is no DICOM service: it answered a search for studies with "
            f"{response.status_code} {content_type or 'and no content type'}. "
            "Set DICOM_SERVICE_URL to the service URL of the portal."
        )


def expect_owner(service: Service) -> None:
    """Whether this person may delete, asked with a study that nobody can have: its UID was made this moment."""
    expect_permission(service.client.delete(f"{service.base_url}/studies/2.25.{uuid.uuid4().int}"))


def expect_permission(response: requests.Response) -> None:
    if response.status_code == 401:
        raise Stop(
            "The service does not take your token (401). Is it the right account, and the right tenant? "
            "Type: az login --tenant TENANT  Then the same command again."
        )
    if response.status_code == 403:
        raise Stop(
            "You are signed in, but have no right to store and delete (403). The role DICOM Data Owner is needed: an "
            "administrator gives it to you in the portal, under Access control (IAM) of the service. It takes a few "
            "minutes to count; then type the same command again."
        )


def some(resources: list[str]) -> str:
    return ", ".join(resources[:3]) + (f" and {len(resources) - 3} more" if len(resources) > 3 else "")


# ------------------------------------------------------------------------------------------------------------- the plan


class Plan:
    """What the lessons do to a service, as an emulator has seen it."""

    def __init__(self, runs: Iterable[Run]) -> None:
        exchanges = [exchange for run in runs for exchange in run.exchanges]
        self.resources: set[str] = set().union(*(run.touched for run in runs))
        self.requests = len(exchanges)
        self.bytes = sum(len(exchange.sent.body) for exchange in exchanges)
        self.work_items = sum(
            exchange.method == "POST" and exchange.status == 201 and "/workitems?" in exchange.path
            for exchange in exchanges
        )

    @property
    def studies(self) -> set[str]:
        return {each for each in self.resources if each.startswith("studies/")}

    @property
    def tags(self) -> set[str]:
        return self.resources - self.studies

    def lines(self, name: str, there: list[str]) -> list[str]:
        """What is going to happen on the service `name`, for somebody to say yes to. `there` is there now."""
        tags = ", ".join(sorted(each.partition("/")[2] for each in self.tags))
        studies = "1 study" if len(self.studies) == 1 else f"{len(self.studies)} studies"
        stays = [f"{self.work_items} work items, which the service has no way to delete"] * bool(self.work_items)
        stays += ["the events of all this in its change feed"]
        if os.environ.get("DICOM_EXPORT_CONTAINER"):
            stays += ["three files in the container of DICOM_EXPORT_CONTAINER"]
        return [
            f"To {name} go about {self.requests:,} requests with {self.bytes / 1e6:.1f} MB.",
            *([f"  deleted first, since it is there: {some(there)}"] if there else []),
            f"  stored, changed, and deleted again: {studies} of the course"
            + "; none is there now" * (not there),
            *([f"  added and deleted again: the extended query tags {tags}"] * bool(tags)),
            f"  stays there: {'; '.join(stays)}",
            "  Nothing else is changed or deleted: any such request is stopped before it leaves this machine.",
        ]
