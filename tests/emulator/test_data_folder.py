"""The data folder: damaged, of another edition, not to be written, full. A sentence that helps, and nothing is lost."""

import ctypes
import hashlib
import io
import os
import random
import re
import shutil
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import dicom_emulator
from dicom_emulator.archive import Archive, Damaged
from tests.emulator.dicom_files import instance, path
from tests.emulator.operations import add_tags, person, tag, update
from tests.emulator.storing import change_feed, own_emulator, search
from tests.emulator.test_command_line import refused, started

OLD = Path(__file__).parent / "old_archives"
EDITIONS = sorted(OLD.glob("*.sql"))


def kept(folder: Path) -> dict[str, str]:
    """The files of a folder by their name, as sha256. What SQLite makes for its work does not count."""
    files = [path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(("-shm", "lock.db"))]
    found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
    return {name: hashlib.sha256(content).hexdigest() for name, content in found.items() if content}


def test_the_end_leaves_nothing_of_what_was_arriving(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    archive.files.new_incoming().write_bytes(b"a part")
    archive.close()
    assert list((tmp_path / "incoming").iterdir()) == []


def database(folder: Path) -> Any:
    return closing(sqlite3.connect(folder / "index.db", isolation_level=None))


def execute(folder: Path, *statements: str) -> None:
    with database(folder) as connection:
        for statement in statements:
            connection.execute(statement)


def lay_out(edition: Path, folder: Path) -> Path:
    """A data folder of an earlier edition."""
    folder.mkdir(exist_ok=True)
    (folder / "index.db").unlink(missing_ok=True)
    with database(folder) as connection:
        connection.executescript(edition.read_text("utf-8"))
        for name, size in connection.execute("SELECT file, size FROM instance"):
            target = folder / "instances" / name[:2] / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(OLD / name[-7:], target)
            assert target.stat().st_size == size
    return folder


class TestOlder:
    """old_archives/ holds what earlier commits of the emulator have written."""

    @pytest.mark.parametrize("edition", EDITIONS, ids=lambda edition: edition.stem)
    def test_it_is_brought_up_to_date_with_all_that_it_holds(self, edition: Path, tmp_path: Path) -> None:
        folder = lay_out(edition, tmp_path / "data")
        files = [(OLD / f"{number}.dcm").read_bytes() for number in (111, 112)]
        for _ in range(2):  # and once it is, it stays so
            with own_emulator(data_dir=folder) as service:
                for file in files:
                    found = service.owner.get(f"{service.v2}/{path(file)}", headers={"Accept": "application/dicom"})
                    assert found.content == file
                assert len(search(service, "instances", StudyDate="20200922", PatientName="Old^Édith")) == 2
                feed = change_feed(service)
                assert [row["action"] for row in feed[:4]] == ["Create", "Create", "Create", "Delete"]
                assert [row["state"] for row in feed[:4]] == ["Current", "Current", "Deleted", "Deleted"]
        new = instance(StudyInstanceUID="2.25.1")
        with own_emulator(data_dir=folder) as service:
            assert service.store(new).status_code == 200
            add_tags(service, tag("PatientSex", "Study"), tag("Laterality"))
            assert update(service, new, changes=person("New^Name"))["results"]["instanceUpdated"] == 3
            assert len(search(service, "instances", PatientName="New^Name")) == 3

    @pytest.mark.parametrize("edition", EDITIONS, ids=lambda edition: edition.stem)
    def test_its_tables_become_those_of_a_new_one(self, edition: Path, tmp_path: Path) -> None:
        """Whoever changes schema.sql has to write a migration."""
        shapes = []
        for folder in (lay_out(edition, tmp_path / "old"), tmp_path / "new"):
            with dicom_emulator.running(data_dir=folder):
                pass
            with database(folder) as connection:
                assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
                assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
                rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
                version = connection.execute("PRAGMA user_version").fetchone()
            bare = {name: re.sub(r'--.*|"|\s+', " ", sql).split() for name, sql in rows}
            shapes.append((version, bare))
        assert shapes[0] == shapes[1]

    def test_numbers_are_not_given_out_again(self, tmp_path: Path) -> None:
        folder = lay_out(OLD / "version-1.sql", tmp_path / "data")
        execute(folder, "DELETE FROM metadata", "DELETE FROM instance", "DELETE FROM series", "DELETE FROM study")
        file = instance()
        with own_emulator(data_dir=folder) as service:
            assert service.store(file).status_code == 200
            headers = {"Accept": "application/dicom+json"}
            found = service.owner.get(f"{service.v2}/{path(file)}/metadata", headers=headers)
            assert found.headers["ETag"] == "4", "watermarks 1 to 3 were given out before"

    def test_what_cannot_be_brought_up_to_date_stays_as_it_is(self, tmp_path: Path) -> None:
        folder = lay_out(OLD / "version-1.sql", tmp_path / "data")
        execute(folder, "CREATE TABLE new_change_feed (in_the_way)")
        with database(folder) as connection:
            before = list(connection.iterdump())
        said = refused("--port", "0", "--data-dir", str(folder))
        assert str(folder) in said and "damaged" in said and len(said.splitlines()) == 1
        with database(folder) as connection:
            assert list(connection.iterdump()) == before
        execute(folder, "DROP TABLE new_change_feed")
        with own_emulator(data_dir=folder) as service:
            assert len(change_feed(service)) == 4


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with three instances, as a kill has left it: the last ones are in the write-ahead log only."""
    folder = tmp_path_factory.mktemp("killed") / "data"
    with started("--data-dir", str(folder)) as emulator:
        assert emulator.store(instance()).status_code == 200
    with started("--data-dir", str(folder)) as emulator:
        assert emulator.store(instance(), instance()).status_code == 200
        emulator.stop(signal.SIGKILL)
    assert (folder / "index.db-wal").stat().st_size > 0
    return folder


@pytest.fixture
def archive(killed: Path, tmp_path: Path) -> Path:
    return shutil.copytree(killed, tmp_path / "data")


def stored_in(folder: Path, **options: Any) -> int:
    """The number of instances that an emulator on the folder has."""
    with own_emulator(data_dir=folder, **options) as service:
        return len(search(service, "instances"))


def overwrite(name: str, start: int = 0, size: int | None = None) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        with (folder / name).open("rb+") as file:
            length = file.seek(0, io.SEEK_END) - start if size is None else size
            file.seek(start)
            file.write(random.Random(name).randbytes(length))

    return damage


def truncate(size: int) -> Callable[[Path], None]:
    return lambda folder: os.truncate(folder / "index.db", size)


def somebody_elses(folder: Path) -> None:
    for path in folder.glob("index.db*"):
        path.unlink()
    execute(folder, "CREATE TABLE songs (title)")


DAMAGES: dict[str, tuple[Callable[[Path], Any], list[str]]] = {
    "garbage": (overwrite("index.db"), ["index.db is damaged", "--seed"]),
    "garbage at its start": (overwrite("index.db", 0, 100), ["index.db is damaged", "--seed"]),
    "cut": (truncate(20_000), ["index.db is damaged", "--seed"]),
    "empty": (truncate(0), ["no index", "--seed"]),
    "not there": (lambda folder: (folder / "index.db").unlink(), ["no index", "--seed"]),
    "no table": (lambda folder: execute(folder, "DROP TABLE metadata"), ["lacks metadata.json", "--seed"]),
    "no column": (lambda folder: execute(folder, "ALTER TABLE instance DROP COLUMN frames"), ["instance.frames"]),
    "garbage in the log": (overwrite("index.db-wal"), ["index.db-wal", "--seed"]),
    "somebody else's": (somebody_elses, ["not the emulator's", "another --data-dir"]),
    "of a newer edition": (lambda folder: execute(folder, "PRAGMA user_version = 99"), ["newer edition", "99"]),
    "the lock": (lambda folder: (folder / "lock.db").write_bytes(b"garbage" * 999), ["lock.db", "delete it"]),
}


class TestDamaged:
    @pytest.mark.parametrize(("damage", "words"), DAMAGES.values(), ids=DAMAGES)
    def test_a_sentence_says_what_to_do_and_nothing_is_touched(
        self, archive: Path, killed: Path, damage: Callable[[Path], Any], words: list[str]
    ) -> None:
        damage(archive)
        before = kept(archive)
        said = refused("--port", "0", "--data-dir", str(archive))
        assert str(archive) in said and len(said.splitlines()) == 1
        assert [word for word in words if word not in said] == [], said
        assert kept(archive) == before
        shutil.rmtree(archive)
        assert stored_in(shutil.copytree(killed, archive)) == 3, "a copy put in its place works"

    def test_what_the_sentence_says_brings_the_files_back(self, archive: Path, tmp_path: Path) -> None:
        overwrite("index.db")(archive)
        seed = refused("--port", "0", "--data-dir", str(archive)).split("--seed ")[1]
        assert stored_in(tmp_path / "new", seed=seed) == 3
        shutil.rmtree(tmp_path / "new")
        (archive / "index.db").unlink()
        seed = re.findall("--seed (.*?) it begins", refused("--port", "0", "--data-dir", str(archive)))[0]
        assert stored_in(tmp_path / "new", seed=seed) == 3

    def test_a_lock_that_is_deleted_as_told_is_made_again(self, archive: Path) -> None:
        (archive / "lock.db").write_bytes(b"garbage" * 999)
        (archive / "lock.db").unlink()
        assert stored_in(archive) == 3

    def test_garbage_in_any_page_loses_no_file(self, tmp_path: Path) -> None:
        """Where the emulator starts all the same, it answers as before, or 503."""
        folder, dice = tmp_path / "data", random.Random(3)
        with own_emulator(data_dir=folder) as service:
            assert service.store(*(instance() for _ in range(40))).status_code == 200
        sound, files = (folder / "index.db").read_bytes(), list(folder.glob("instances/*/*"))
        assert len(files) == 40
        refusals = 0
        for page in range(0, len(sound), 4 * 4096):
            (folder / "index.db").write_bytes(sound[:page] + dice.randbytes(4096) + sound[page + 4096 :])
            try:
                with own_emulator(data_dir=folder) as service:
                    for below in ("studies", "instances?includefield=all", "changefeed", "extendedquerytags"):
                        headers = {"Accept": "application/dicom+json"}
                        response = service.owner.get(f"{service.v2}/{below}", headers=headers)
                        assert response.status_code in {200, 204, 503}, response.text
            except (Damaged, sqlite3.DatabaseError):
                refusals += 1
            assert [path for path in files if not path.exists()] == []
        assert refusals, "the first page holds the schema"
        (folder / "index.db").write_bytes(sound)
        with own_emulator(data_dir=folder) as service:
            assert len(search(service, "instances")) == 40


def obey_permissions() -> None:
    """Run in a child: root keeps to permissions as everybody does, once the program is executed."""
    if os.geteuid() == 0:
        for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
            assert ctypes.CDLL(None).prctl(24, capability, 0, 0, 0) == 0  # PR_CAPBSET_DROP


class TestPermissions:
    @pytest.mark.parametrize(
        ("closed", "mode"),
        [([name], 0o555) for name in (".", "index.db", "lock.db", "incoming")]
        + [([name], 0) for name in (".", "index.db")]
        + [([".", "index.db", "lock.db", "instances", "incoming"], 0o555)],
    )
    def test_what_cannot_be_written_is_said_and_works_once_it_can(
        self, archive: Path, closed: list[str], mode: int
    ) -> None:
        (archive / "incoming" / "left behind").write_bytes(b"by a kill")
        modes = {archive / name: (archive / name).stat().st_mode for name in closed}
        before = kept(archive)
        try:
            for path in reversed(modes):
                path.chmod(mode)
            said = refused("--port", "0", "--data-dir", str(archive), preexec=obey_permissions)
        finally:
            for path, old in modes.items():
                path.chmod(old)
        assert str(archive) in said and len(said.splitlines()) == 1
        assert "make it writable, or choose another with --data-dir" in said
        assert kept(archive) == before
        assert stored_in(archive) == 3

    def test_a_folder_that_cannot_be_made(self, tmp_path: Path) -> None:
        tmp_path.chmod(0o555)
        said = refused("--port", "0", "--data-dir", str(tmp_path / "new"), preexec=obey_permissions)
        tmp_path.chmod(0o755)
        assert str(tmp_path / "new") in said and "make it writable" in said and len(said.splitlines()) == 1
