"""Fixtures for other people's tests. pytest knows them once the package is installed."""

from collections.abc import Iterator

import pytest

from dicom_emulator.server import RunningServer, running


@pytest.fixture(scope="session")
def shared_dicom_service() -> Iterator[RunningServer]:
    """One emulator for all tests of the session. What a test stores is there for the next one."""
    with running() as server:
        yield server


@pytest.fixture
def dicom_service(shared_dicom_service: RunningServer) -> RunningServer:
    """The session's emulator, emptied before the test.

    `dicom_service.url` is its address, `dicom_service.credential` signs in as the owner, and
    `dicom_service.environment` holds the variables with which azure-identity does the same. `dicom_service.control`
    seeds it, saves and restores snapshots, and lets requests go wrong.
    """
    shared_dicom_service.reset()
    return shared_dicom_service
