"""Every option of the emulator: its default, its flag, its environment variable, its help text."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

SYNTHETIC = "synthetic"  # the seed that is built in


def option(default: Any, flag: str, metavar: str | None, help: str) -> Any:
    return field(default=default, metadata={"flag": flag, "metavar": metavar, "help": help})


@dataclass(frozen=True)
class Settings:
    """What one emulator is told at its start.

    Sizes are in bytes, times in seconds.
    """

    host: str = option("127.0.0.1", "--host", "ADDRESS", "address to listen on")
    allowed_hosts: tuple[str, ...] = option(
        (),
        "--allowed-host",
        "NAME",
        "a name, besides this machine's own, under which clients may ask; * for any; may be given several times",
    )
    port: int = option(8080, "--port", "PORT", "port to listen on; 0 picks a free one")
    data_dir: Path | None = option(
        None, "--data-dir", "DIR", "keep what is stored in this folder; without it, everything is gone at exit"
    )
    durable: bool = option(False, "--durable", None, "acknowledge only what a power failure cannot take back: slower")
    seed: Path | None = option(
        None,
        "--seed",
        "DIR",
        "store all DICOM files of this folder at the start; 'synthetic', where no folder has that name, "
        "is a built-in set of patients who never lived",
    )
    sign_in: bool = option(True, "--no-auth", None, "let everybody in: no token is asked for")
    tls: bool = option(False, "--tls", None, "speak HTTPS, with a certificate authority of the emulator's own")
    cors_origins: tuple[str, ...] = option(
        (), "--cors-origin", "ORIGIN", "let web pages of this origin call the service; may be given several times"
    )
    partitions: bool = option(
        False, "--partitions", None, "keep studies apart in partitions, which every path then has to name"
    )
    strict: bool = option(
        False,
        "--strict",
        None,
        "refuse what the standard forbids, also where the service is lax, and name the paragraph",
    )
    max_file_size: int = option(2_147_483_647, "--max-file-size", "BYTES", "largest instance that is stored")
    max_transcode_size: int = option(
        104_857_600, "--max-transcode-size", "BYTES", "largest stored file that is sent in another transfer syntax"
    )
    token_lifetime: int = option(3600, "--token-lifetime", "SECONDS", "how long a sign-in token is valid")
    export_dir: Path | None = option(
        None, "--export-dir", "DIR", "the folder whose folders stand in for storage containers; else in the data folder"
    )
    operation_time: float = option(
        0.0,
        "--operation-time",
        "SECONDS",
        "how long each operation takes at the least, for the sake of polling clients",
    )
    log_format: str = option("text", "--log-format", "FORMAT", "how the log is written: text, or json: objects")
    until_stdin_closes: bool = option(
        False, "--until-stdin-closes", None, "stop when standard input ends, so that a child never outlives its parent"
    )

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise ValueError(f"--port {self.port}: a port is a number from 0 to 65535")
        for name in ("max_file_size", "max_transcode_size", "token_lifetime"):
            if getattr(self, name) < 1:
                raise ValueError(f"--{name.replace('_', '-')} {getattr(self, name)}: must be 1 or more")
        for name in self.allowed_hosts:
            if not re.fullmatch(r"[\w.-]+|\*", name, re.ASCII):
                raise ValueError(f"--allowed-host {name}: must be a name alone, such as dicom.example, or *")
        if not 0 <= self.operation_time <= 3600:
            raise ValueError(f"--operation-time {self.operation_time}: must be between 0 and 3600")
        if self.log_format not in {"text", "json"}:
            raise ValueError(f"--log-format {self.log_format}: must be text or json")
        if self.seed is not None and not self.seed.is_dir() and self.seed != Path(SYNTHETIC):
            raise ValueError(f"--seed {self.seed}: there is no such folder; the built-in set is called {SYNTHETIC}")


def environment_variable(flag: str) -> str:
    """The environment variable that stands for a flag.

    >>> environment_variable("--data-dir")
    'DICOM_EMULATOR_DATA_DIR'
    """
    return "DICOM_EMULATOR_" + flag.removeprefix("--").replace("-", "_").upper()


def from_environment(environment: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """The options that the environment sets, as keyword arguments of `Settings`.

    >>> from_environment({"DICOM_EMULATOR_PORT": "0", "DICOM_EMULATOR_NO_AUTH": "1"})
    {'port': 0, 'sign_in': False}
    """
    found: dict[str, Any] = {}
    for option in fields(Settings):
        variable = environment_variable(option.metadata["flag"])
        if variable in environment:
            found[option.name] = parse(option.name, variable, environment[variable])
    return found


def parse(name: str, source: str, text: str) -> Any:
    """The value of the option `name` written as `text`; ValueError names its `source`."""
    default = Settings.__dataclass_fields__[name].default
    if isinstance(default, bool):
        if text.lower() not in {"1", "true", "yes", "0", "false", "no", ""}:
            raise ValueError(f"{source}={text}: must be 1 or 0")
        given = text.lower() in {"1", "true", "yes"}
        return not default if given else default
    if isinstance(default, float):
        try:
            return float(text)
        except ValueError:
            raise ValueError(f"{source} {text}: must be a number") from None
    if isinstance(default, int):
        try:
            return int(text)
        except ValueError:
            raise ValueError(f"{source} {text}: must be a whole number") from None
    if isinstance(default, tuple):
        return tuple(part.strip() for part in text.split(",") if part.strip())
    return Path(text) if name in {"data_dir", "seed", "export_dir"} else text
