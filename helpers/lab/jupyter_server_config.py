"""The tile, for jupyter-server-proxy. Jupyter reads this file where JUPYTER_CONFIG_PATH names its folder."""

import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]

c = get_config()  # noqa: F821
c.ServerProxy.servers = {
    "dicom-emulator": {
        "command": [sys.executable, "-m", "helpers.lab.emulators", "{port}"],
        "environment": {"PYTHONPATH": str(REPOSITORY)},
        "timeout": 60,
        "new_browser_tab": False,
        "launcher_entry": {
            "title": "DICOM emulator",
            "icon_path": str(REPOSITORY / "dicom_emulator" / "control" / "home" / "icon.svg"),
        },
    }
}
