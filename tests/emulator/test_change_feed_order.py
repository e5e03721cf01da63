"""The change feed where sequence numbers and time disagree, or sequence numbers are missing."""

import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.emulator.conftest import Service
from tests.emulator.dicom_files import instance, uids
from tests.emulator.storing import change_feed, own_emulator


def test_a_clock_put_back_shows_in_v2_only(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, third = instance(), instance(), instance()
    service.store(first)
    service.store(second)
    with monkeypatch.context() as patch:
        clock = time.time_ns
        patch.setattr(time, "time_ns", lambda: clock() - 3_600_000_000_000)
        service.store(third)
    first, second, third = (uids(file)[2] for file in (first, second, third))
    assert [row["sopInstanceUid"] for row in change_feed(service, "v1")] == [first, second, third]
    assert [row["sopInstanceUid"] for row in change_feed(service, "v2")] == [third, first, second]
    latest = {
        version: service.owner.get(f"{service.url}/{version}/changefeed/latest").json()["sopInstanceUid"]
        for version in ("v1", "v2")
    }
    assert latest == {"v1": third, "v2": second}


def test_a_gap_in_the_sequence_shortens_pages_of_v1_only(tmp_path: Path) -> None:
    with own_emulator(data_dir=tmp_path) as service:
        service.store(instance())
        with closing(sqlite3.connect(tmp_path / "index.db")) as database, database:
            database.execute("UPDATE sqlite_sequence SET seq = seq + 5 WHERE name = 'change_feed'")
        service.store(instance())
        old, new = change_feed(service, "v1")
        assert new["sequence"] == old["sequence"] + 6
        assert change_feed(service, "v1", offset=old["sequence"], limit=5) == []
        assert change_feed(service, "v1", offset=old["sequence"], limit=6) == [new]
        assert change_feed(service, "v1", offset=old["sequence"] - 1, limit=6) == [old]
        assert change_feed(service, "v2", offset=1, limit=1) == [new]
