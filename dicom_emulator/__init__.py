"""The Azure DICOM service on a laptop: `python -m dicom_emulator`, or `running()` in a script."""

from dicom_emulator.control.client import Control, ControlError
from dicom_emulator.server import Credential, RunningServer, running

__all__ = ["Control", "ControlError", "Credential", "RunningServer", "running"]
