"""What is written to standard error, for people or for programs."""

import json
import logging
import warnings
from datetime import datetime, timezone


class JsonLines(logging.Formatter):
    """An object a line: time, level and message; of a request also method, path, status, milliseconds and sizes."""

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds")
        line = {"time": time, "level": record.levelname, "message": record.getMessage()}
        line |= getattr(record, "request", {})
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line)


FORMATS = {
    "text": logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S"),
    "json": JsonLines(),
}


def set_up_log(format: str) -> None:
    """Write the log of this process in one of the `FORMATS`."""
    handler = logging.StreamHandler()
    handler.setFormatter(FORMATS[format])
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("dicom_emulator").setLevel(logging.INFO)
    logging.getLogger("pydicom").setLevel(logging.CRITICAL)  # faulty files are the clients' business
    warnings.filterwarnings("ignore", category=UserWarning)
    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)
