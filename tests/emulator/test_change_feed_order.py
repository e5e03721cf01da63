"""The order of the change feed: numbers without gaps, and moments that never go back. And any page of it."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as some

from dicom_emulator import Control
from dicom_emulator.archive.ticks import format_ticks, parse_time
from tests.emulator.conftest import Service
from tests.emulator.dicom_files import instance, path, uids
from tests.emulator.hostile import budget
from tests.emulator.storing import change_feed, own_emulator, stored
from tests.emulator.test_data_folder import OLD, execute, lay_out

HOUR = 3_600_000_000_000  # in nanoseconds
VERSION_4 = OLD / "version-4.sql"


def sequences(rows: list[dict]) -> list[int]:
    return [row["sequence"] for row in rows]


def moments(rows: list[dict]) -> list[int]:
    return [parse_time(row["timestamp"]) for row in rows]


def after(row: dict) -> str:
    """The first moment after that of the event."""
    return format_ticks(parse_time(row["timestamp"]) + 1)


class TestMoments:
    def test_a_clock_put_back_does_not_put_the_feed_back(
        self, service: Service, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first, second, third = instance(), instance(), instance()
        service.store(first)
        service.store(second)
        before = change_feed(service)
        with monkeypatch.context() as patch:
            clock = time.time_ns
            patch.setattr(time, "time_ns", lambda: clock() - HOUR)
            service.store(third)
        for version in ("v1", "v2"):
            rows = change_feed(service, version)
            assert [row["sopInstanceUid"] for row in rows] == [uids(file)[2] for file in (first, second, third)]
            assert service.owner.get(f"{service.url}/{version}/changefeed/latest").json() == rows[-1]
            assert rows[:2] == before and rows[2]["timestamp"] == after(before[1])
        assert change_feed(service, startTime=after(before[1])) == rows[2:]

    def test_who_asks_for_what_follows_the_last_moment_misses_nothing(
        self, service: Service, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Each event has a moment of its own, although the clock stands still."""
        stands = time.time_ns()
        with monkeypatch.context() as patch:
            patch.setattr(time, "time_ns", lambda: stands)
            files = [instance(StudyInstanceUID="1.2") for _ in range(7)]
            assert len(stored(service.store(*files))) == 7
            service.store(instance())
            service.owner.delete(f"{service.v2}/studies/1.2")
        rows = change_feed(service)
        assert moments(rows) == [stands // 100 + number for number in range(15)]
        read: list[dict] = []
        while page := change_feed(service, limit=4, **({"startTime": after(read[-1])} if read else {})):
            read += page
        assert read == rows


class TestNumbers:
    def test_nothing_that_fails_or_goes_back_leaves_a_gap(self, tmp_path: Path) -> None:
        good, bad = [instance() for _ in range(5)], instance()
        refusing = f"CREATE TRIGGER refusing BEFORE INSERT ON change_feed WHEN NEW.SOPInstanceUID = '{uids(bad)[2]}'"
        with own_emulator(data_dir=tmp_path) as service:
            control = Control(service.url)
            execute(tmp_path, f"{refusing} BEGIN SELECT RAISE(ABORT, 'no'); END")
            assert service.store(bad).status_code == 409
            assert len(stored(service.store(*good[:3], bad, *good[3:]))) == 5  # with savepoints
            service.store(good[0], bad)
            assert sequences(change_feed(service)) == [1, 2, 3, 4, 5]
            control.save("five")
            service.owner.delete(f"{service.v2}/{path(good[0])}")
            control.restore("five")
            service.owner.delete(f"{service.v2}/{path(good[1])}")
            assert sequences(change_feed(service)) == [1, 2, 3, 4, 5, 6]
            control.reset()
            service.store(good[0])
            assert sequences(change_feed(service)) == [1]


class TestOlder:
    """Archives of version 4 and before noted what the clock said."""

    def test_moments_that_went_back_become_those_of_the_event_before(self, tmp_path: Path) -> None:
        with closing(sqlite3.connect(":memory:")) as database:
            database.executescript(VERSION_4.read_text("utf-8"))
            were = [ticks for (ticks,) in database.execute("SELECT ticks FROM change_feed ORDER BY sequence")]
        assert were[2] < were[0] < were[1] < were[3], "what the file is for"
        with own_emulator(data_dir=lay_out(VERSION_4, tmp_path)) as service:
            rows = change_feed(service)
            assert rows == change_feed(service, "v1")
            assert moments(rows) == [were[0], were[1], were[1], were[3]]
            assert sequences(rows) == [1, 2, 3, 4]
            service.store(instance())
            assert sequences(change_feed(service)) == [1, 2, 3, 4, 5]

    def test_a_gap_closes_and_who_knows_a_number_misses_nothing(self, tmp_path: Path) -> None:
        lay_out(VERSION_4, tmp_path)
        execute(tmp_path, "UPDATE change_feed SET sequence = sequence + 5 WHERE sequence > 2")
        with own_emulator(data_dir=tmp_path) as service:
            rows = change_feed(service)
            assert sequences(rows) == [6, 7, 8, 9]
            assert [row["action"] for row in rows] == ["Create", "Create", "Create", "Delete"]
            for offset in range(5):
                assert change_feed(service, offset=offset) == rows[offset:]
            for known, later in ((1, rows), (2, rows), (8, rows[3:]), (9, [])):
                assert change_feed(service, "v1", offset=known) == later
            assert change_feed(service, "v1", limit=5) == [], "v1 counts numbers, not events"
            assert change_feed(service, "v1", limit=6) == rows[:1]


# Pages, compared with what plain Python makes of all events


@dataclass
class Recorded:
    """A feed, and what the database has of it."""

    service: Service
    rows: dict[int, dict]  # by number
    ticks: dict[int, int]


BEGIN = 17_000_000_000_000_000  # the moment before the first event, in ticks
AT_ONCE = 3  # events of the same moment, as older archives may have them
APART = 7  # ticks between such moments


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    folder = tmp_path_factory.mktemp("recorded")
    with own_emulator(data_dir=folder) as service:
        service.store(*(instance() for _ in range(25)))
    execute(folder, f"UPDATE change_feed SET ticks = {BEGIN} + sequence / {AT_ONCE} * {APART}")
    with own_emulator(data_dir=folder) as service:
        rows = change_feed(service)
        ticks = dict(zip(sequences(rows), moments(rows), strict=True))
        assert len(rows) == 25 and len(set(ticks.values())) == 9
        yield Recorded(service, dict(zip(sequences(rows), rows, strict=True)), ticks)


offsets = some.one_of(some.integers(0, 30), some.sampled_from([2**31, 2**62, 2**63 - 2, 2**63 - 1]))
limits = some.one_of(some.integers(1, 30), some.just(100))
times = some.one_of(some.none(), some.integers(-2, 9 * APART + 2).map(lambda ticks: BEGIN + ticks))


@budget(200)
@given(offset=offsets, limit=limits)
@example(offset=2**63 - 1, limit=100)
def test_any_page_of_v1(recorded: Recorded, offset: int, limit: int) -> None:
    expected = [number for number in recorded.rows if offset < number <= offset + limit]
    rows = change_feed(recorded.service, "v1", offset=offset, limit=limit)
    assert rows == [recorded.rows[number] for number in expected]


@budget(400)
@given(start=times, end=times, offset=offsets, limit=limits)
@example(start=None, end=None, offset=2**63 - 1, limit=200)
@example(start=BEGIN + APART, end=None, offset=2**63 - 1, limit=200)
@example(start=BEGIN + APART, end=BEGIN + 2 * APART, offset=1, limit=200)
def test_any_page_of_v2(recorded: Recorded, start: int | None, end: int | None, offset: int, limit: int) -> None:
    if start is not None and end is not None:
        start, end = min(start, end), max(start, end) + 1
    within = [
        number
        for number, ticks in sorted(recorded.ticks.items(), key=lambda event: (event[1], event[0]))
        if (start is None or start <= ticks) and (end is None or ticks < end)
    ]
    window = {"startTime": start and format_ticks(start), "endTime": end and format_ticks(end)}
    rows = change_feed(recorded.service, "v2", offset=offset, limit=limit, **window)
    assert rows == [recorded.rows[number] for number in within[offset : offset + limit]]
