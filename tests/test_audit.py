"""run.py audit, without its network: what is made of the answers, and that the locks are what it asks about."""

import json
import subprocess

import pytest

from tests import audit
from tests.licences import LOCKS

SOUND = {"name": "good", "version": "1.0", "vulns": []}
BAD = {"name": "bad", "version": "2.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["2.1"]}, {"id": "PYSEC-2"}]}
UNKNOWN = {"name": "strange", "skip_reason": "Dependency not found on PyPI and could not be audited: strange (1.0)"}


@pytest.mark.parametrize(
    ("dependencies", "code", "said"),
    [
        ([SOUND], audit.SOUND, ["1 packages, and no vulnerability is known."]),
        ([SOUND, BAD], audit.VULNERABLE, ["bad 2.0: PYSEC-1, mended in 2.1", "bad 2.0: PYSEC-2, not mended yet"]),
        ([BAD, UNKNOWN], audit.VULNERABLE, ["PYSEC-1", "Not audited: strange."]),
        ([SOUND, UNKNOWN], audit.NOT_ASKED, ["Not audited: strange."]),
        ([UNKNOWN], audit.NOT_ASKED, [audit.OFFLINE]),
        ([], audit.NOT_ASKED, [audit.OFFLINE]),
    ],
)
def test_what_was_not_looked_at_is_not_called_sound(dependencies: list[dict], code: int, said: list[str]) -> None:
    found, text = audit.verdict(dependencies)
    assert found == code and not [each for each in said if each not in text]


@pytest.mark.parametrize("output", ["", "Traceback", json.dumps({"dependencies": []})])
def test_without_a_network_it_says_so_and_shows_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], output: str
) -> None:
    asked: list[list[str]] = []

    def run(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
        asked.append(command)
        return subprocess.CompletedProcess(command, 1, output, "Traceback …\nConnectionError: no network")

    monkeypatch.setattr(subprocess, "run", run)
    assert audit.main(["-s", "osv"]) == audit.NOT_ASKED
    said = capsys.readouterr().err
    assert audit.OFFLINE in said and "Traceback" not in said
    assert asked[0][-2:] == ["-s", "osv"]
    assert all(f"--requirement={audit.ROOT / lock}" in asked[0] for lock in LOCKS)
