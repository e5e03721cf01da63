"""Known vulnerabilities of what is locked: python3 run.py audit. It asks a service on the network, so no test depends on it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.licences import LOCKS

ROOT = Path(__file__).parents[1]
SOUND, VULNERABLE, NOT_ASKED = 0, 1, 2
OFFLINE = (
    "Not audited: the service that lists vulnerabilities cannot be reached, or knows none of these packages. Is this "
    "machine online, and does it ask PyPI itself and no mirror? Another service: python3 run.py audit -s osv"
)


def main(arguments: list[str]) -> int:
    """Returns SOUND, VULNERABLE or NOT_ASKED. `arguments` go to pip-audit."""
    locks = [f"--requirement={ROOT / lock}" for lock in LOCKS]
    command = [sys.executable, "-m", "pip_audit", "--require-hashes", "--disable-pip", "--format=json", *locks, *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        found = json.loads(done.stdout)["dependencies"]
    except ValueError:
        # Without a network pip-audit ends with a traceback, whose last line says what happened.
        found = []
        print(*done.stderr.strip().splitlines()[-1:], file=sys.stderr)
    code, text = verdict(found)
    print(text, file=sys.stderr if code else sys.stdout)
    return code


def verdict(dependencies: list[dict[str, Any]]) -> tuple[int, str]:
    """The exit code, and what is said. A package that the service does not know is not a sound one."""
    passed_over = [each["name"] for each in dependencies if "skip_reason" in each]
    lines = [
        f"{each['name']} {each['version']}: {vulnerability['id']}, {mended_in(vulnerability)}"
        for each in dependencies
        for vulnerability in each.get("vulns", [])
    ]
    asked = len(dependencies) - len(passed_over)
    if not asked:
        return NOT_ASKED, OFFLINE
    if passed_over:
        lines.append(f"Not audited: {', '.join(passed_over)}.")
    if any("vulns" in each and each["vulns"] for each in dependencies):
        return VULNERABLE, "\n".join(lines)
    lines.append(f"{asked} packages, and no vulnerability is known.")
    return (NOT_ASKED if passed_over else SOUND), "\n".join(lines)


def mended_in(vulnerability: dict[str, Any]) -> str:
    versions = vulnerability.get("fix_versions") or []
    return f"mended in {', '.join(versions)}" if versions else "not mended yet"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
