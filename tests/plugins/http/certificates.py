"""An authority of our own."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


class Certificates:
    """An authority of our own, a server's certificate for `shop.example` and 127.0.0.1, and a client's."""

    def __init__(self, folder: Path) -> None:
        def name(common: str) -> x509.Name:
            return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common)])

        def issue(common: str, alternatives: list[x509.GeneralName], signer: Any, is_ca: bool) -> Any:
            key = ec.generate_private_key(ec.SECP256R1())
            now = datetime.now(UTC)
            builder = (
                x509.CertificateBuilder()
                .subject_name(name(common))
                .issuer_name(name("test authority"))
                .public_key(key.public_key())
                .serial_number(x509.random_serial_number())
                .not_valid_before(now - timedelta(hours=1))
                .not_valid_after(now + timedelta(days=1))
                .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
            )
            if alternatives:
                builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
            certificate = builder.sign(signer or key, hashes.SHA256())
            pem = certificate.public_bytes(serialization.Encoding.PEM)
            secret = key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            return key, pem, secret

        authority, ca_pem, _ = issue("test authority", [], None, is_ca=True)
        self.ca = folder / "ca.pem"
        self.ca.write_bytes(ca_pem)
        names = [x509.DNSName("shop.example"), x509.IPAddress(ip_address("127.0.0.1"))]
        _, pem, secret = issue("shop.example", names, authority, is_ca=False)
        self.server = folder / "server.pem"
        self.server.write_bytes(pem + secret)
        _, pem, secret = issue("a client", [x509.DNSName("client.example")], authority, is_ca=False)
        self.client = folder / "client.pem"
        self.client_key = folder / "client.key"
        self.client.write_bytes(pem)
        self.client_key.write_bytes(secret)

    def server_context(self, wants_client: bool = False) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.server)
        if wants_client:
            context.load_verify_locations(self.ca)
            context.verify_mode = ssl.CERT_REQUIRED
        return context
