"""An authority of the tests, and what it vouches for."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.services.home import HOST


class Certificates:
    """PEM files: `authority`, and `server`, a certificate for one address with its key behind it."""

    def __init__(self, folder: Path, address: str = HOST) -> None:
        self.authority = folder / "authority.pem"
        self.server = folder / "server.pem"
        key, certificate, _ = _issued("authority of the tests", None, None)
        self.authority.write_bytes(certificate)
        _, certificate, secret = _issued("server of the tests", key, x509.IPAddress(ip_address(address)))
        self.server.write_bytes(certificate + secret)

    def client_context(self) -> ssl.SSLContext:
        """Of somebody who trusts the authority."""
        context = ssl.create_default_context(cafile=self.authority)
        context.check_hostname = False
        return context


def _issued(common: str, signer: Any, address: x509.GeneralName | None) -> tuple[Any, bytes, bytes]:
    """A new key with its certificate, both also as PEM; without `signer` it is an authority itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(common))
        .issuer_name(_name("authority of the tests"))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=signer is None, path_length=None), critical=True)
    )
    if address is not None:
        builder = builder.add_extension(x509.SubjectAlternativeName([address]), critical=False)
    certificate = builder.sign(signer or key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return key, certificate, secret


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common)])
