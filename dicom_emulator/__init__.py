"""The Azure DICOM service on a laptop: `python -m dicom_emulator`, or `running()` in a script."""

from dicom_emulator.server import Credential, RunningServer, running

__all__ = ["Credential", "RunningServer", "running"]
