"""The command line: python -m dicom_emulator."""

import argparse
import shlex
import sqlite3
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import fields
from errno import EACCES, EDQUOT, ENOSPC, EPERM, EROFS
from typing import Any

from dicom_emulator.archive import Damaged, DataDirInUse, NotAnArchive, WrongSchema
from dicom_emulator.log import set_up_log
from dicom_emulator.server import AddressInUse, address, environment, run
from dicom_emulator.settings import Settings, environment_variable, from_environment, parse
from dicom_emulator.tls import NoCertificate, ca_file_in

DESCRIPTION = """\
The Azure DICOM service on this machine: store, retrieve, search and delete over DICOMweb,
without an account and without a container."""
EPILOG = """\
examples:
  python -m dicom_emulator                        any client may now use http://127.0.0.1:8080/v2
  python -m dicom_emulator --data-dir archive     what is stored stays for the next start
  python -m dicom_emulator --no-auth              no token needed, for a first try with curl
  python -m dicom_emulator --tls                  https, and where the file is that makes clients trust it
  eval "$(python -m dicom_emulator --print-env)"  azure-identity in this shell signs in to the emulator

Every option can also be set in the environment: --data-dir as DICOM_EMULATOR_DATA_DIR, and so on."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0 after a stop, 2 for options that make no sense, 1 when it cannot start."""
    try:
        given = vars(parser().parse_args(arguments))
        print_env = given.pop("print_env")
        settings = Settings(
            **(from_environment() | {name: value for name, value in given.items() if value is not None})
        )
    except ValueError as error:
        print(f"dicom_emulator: {error}", file=sys.stderr)
        return 2
    if print_env:
        return print_environment(settings)
    set_up_log(settings.log_format)
    try:
        run(settings)
    except (AddressInUse, Damaged, DataDirInUse, NoCertificate, NotAnArchive, WrongSchema) as error:
        print(f"dicom_emulator: {error}", file=sys.stderr)
        return 1
    except (OSError, sqlite3.Error) as error:
        folder = settings.data_dir or tempfile.gettempdir()
        named = isinstance(error, OSError) and error.filename
        why = f"{error.strerror}: {error.filename}" if named else str(error)
        print(f"dicom_emulator: cannot use the folder {folder} ({why}); {way_out(error)}", file=sys.stderr)
        return 1
    return 0


def way_out(error: OSError | sqlite3.Error) -> str:
    """What to do when the folder cannot be used."""
    if isinstance(error, OSError):
        full, closed = error.errno in {ENOSPC, EDQUOT}, error.errno in {EACCES, EPERM, EROFS}
    else:
        code = error.sqlite_errorcode & 0xFF
        full = code == sqlite3.SQLITE_FULL
        closed = code in {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM}
    if full:
        return "make room there, and start again"
    return f"{'make it writable, or ' if closed else ''}choose another with --data-dir"


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m dicom_emulator",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for option in fields(Settings):
        flag, metavar, help = (option.metadata[name] for name in ("flag", "metavar", "help"))
        variable = environment_variable(flag)
        if isinstance(option.default, bool):
            parser.add_argument(
                flag, dest=option.name, action="store_const", const=not option.default, help=f"{help} [{variable}]"
            )
        elif isinstance(option.default, tuple):
            parser.add_argument(
                flag, dest=option.name, action="append", metavar=metavar, help=f"{help} [{variable}, with commas]"
            )
        else:
            default = "" if option.default is None else f"; default: {option.default}"
            parser.add_argument(
                flag,
                dest=option.name,
                metavar=metavar,
                type=typed(option.name, flag),
                help=f"{help}{default} [{variable}]",
            )
    parser.add_argument(
        "--print-env",
        action="store_true",
        help="print, for a shell, the variables that point programs at an emulator on --port, and stop",
    )
    return parser


def typed(name: str, flag: str) -> Any:
    def convert(text: str) -> Any:
        try:
            return parse(name, flag, text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error).removeprefix(f"{flag} ")) from None

    return convert


def print_environment(settings: Settings) -> int:
    if settings.port == 0:
        print("dicom_emulator: --print-env needs the --port that the emulator listens on", file=sys.stderr)
        return 2
    ca_file = ca_file_in(settings.data_dir) if settings.tls and settings.data_dir else None
    if settings.tls and not ca_file:
        print(
            "dicom_emulator: the file of the certificate authority is known with --data-dir only; "
            "else copy the line `export REQUESTS_CA_BUNDLE=…` that the emulator prints when it is ready",
            file=sys.stderr,
        )
    for name, value in environment(address(settings, settings.host, settings.port), ca_file).items():
        print(f"export {name}={shlex.quote(value)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
