"""TLS with a certificate authority of the emulator's own, so that no client has to leave certificates unchecked."""

import contextlib
import os
import socket
from dataclasses import dataclass
from pathlib import Path


class NoCertificate(RuntimeError):
    """No certificate can be made: the library is missing, or the authority that was kept is damaged."""


@dataclass(frozen=True)
class Certificates:
    """Where the files are, all in PEM: what clients are told to trust, and the server's chain with its key."""

    ca_file: Path
    server_file: Path


def ca_file_in(data_dir: Path) -> Path:
    """The file that clients trust, whether it is there already or not."""
    return data_dir.absolute() / "tls" / "ca.pem"


def make_certificates(data_dir: Path, host: str) -> Certificates:
    """A certificate for this machine and `host`, signed by the folder's authority, which is made at the first time.

    Raises NoCertificate, OSError.
    """
    try:
        import trustme  # takes a while, and is needed here only
    except ImportError:
        raise NoCertificate("--tls needs the package trustme, which is not installed: pip install trustme") from None
    ca_file = ca_file_in(data_dir)
    ca_file.parent.mkdir(exist_ok=True)
    authority_file = ca_file.with_name("authority.pem")
    if not authority_file.exists():
        made = trustme.CA(organization_name="DICOM service emulator")
        write_secret(authority_file, made.private_key_pem.bytes() + made.cert_pem.bytes())
    kept = authority_file.read_bytes()
    try:
        authority = trustme.CA.from_pem(kept, kept)
    except ValueError:
        raise NoCertificate(f"{authority_file} is damaged; delete it, and another authority is made") from None
    ca_file.write_bytes(authority.cert_pem.bytes())
    certificate = authority.issue_cert(*nameable(host), organization_name="DICOM service emulator")
    server_file = ca_file.with_name("server.pem")
    write_secret(server_file, certificate.private_key_and_cert_chain_pem.bytes())
    return Certificates(ca_file, server_file)


def nameable(host: str) -> list[str]:
    """The names by which this machine is called that a certificate can hold: not those with an underscore, say."""
    import idna  # trustme comes with it

    names = ["127.0.0.1", "::1", "localhost"]
    for name in (host, socket.gethostname()):
        with contextlib.suppress(idna.IDNAError):
            if name not in names and (":" in name or idna.encode(name, uts46=True)):
                names.append(name)
    return names


def write_secret(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read; it is there as a whole or not at all."""
    new = path.with_suffix(".new")
    new.unlink(missing_ok=True)
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
    new.replace(path)
