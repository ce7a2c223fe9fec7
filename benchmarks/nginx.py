"""A real nginx on a free loopback port, with a directory of its own; shared by benchmarks and tests."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from tempfile import TemporaryDirectory

START_SECONDS = 10.0
STOP_SECONDS = 20.0
ATTEMPTS = 5  # another process may take the free port between the look and the start

CONFIGURATION = """
daemon off;
master_process off;
worker_processes 1;
worker_rlimit_nofile 40000;
pid {directory}/nginx.pid;
error_log {directory}/error.log warn;
events {{ worker_connections 18000; }}
http {{
    access_log {access_log};
    default_type text/plain;
    tcp_nodelay on;
    keepalive_requests 1000000000;
    keepalive_timeout 1h;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    server {{
        listen 127.0.0.1:{port}{tls} backlog=16384;
        # No file behind it: the server must cost less than the client that is measured.
        location / {{ return 200 "a small static body"; }}
        {certificate}
    }}
}}
"""


class NginxMissing(RuntimeError):
    """nginx is not installed on this machine."""


@dataclass(frozen=True, slots=True)
class Nginx:
    """A running server; `ca` is the certificate to trust when it speaks TLS."""

    port: int
    pid: int
    directory: Path
    ca: Path | None = None

    @property
    def url(self) -> str:
        return f"{'https' if self.ca else 'http'}://127.0.0.1:{self.port}"

    @property
    def access_log(self) -> Path:
        """Complete only after the `with` block: lines are written in batches."""
        return self.directory / "access.log"

    def logged(self, needle: bytes = b"") -> int:
        """How many requests the log holds, those whose line contains `needle`."""
        with self.access_log.open("rb") as lines:
            return sum(1 for line in lines if needle in line)


def find_nginx() -> str:
    path = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if path is None:
        raise NginxMissing("nginx is not installed; run `sh tests/services/install` as root")
    return path


@contextmanager
def nginx(*, log: bool = False, tls: bool = False, core: int | None = None) -> Iterator[Nginx]:
    """One nginx process that answers every request with a small static body and keeps connections for ever.

    Its directory, log included, lives for the length of the `with` block: see `run_nginx` to keep the log.
    """
    with (
        TemporaryDirectory(prefix="nginx-") as directory,
        run_nginx(Path(directory), log=log, tls=tls, core=core) as server,
    ):
        yield server


@contextmanager
def run_nginx(
    directory: Path, *, log: bool = False, tls: bool = False, core: int | None = None
) -> Iterator[Nginx]:
    """As `nginx`, in a directory that the caller keeps, so that the log can be read when it is complete."""
    ca = make_certificate(directory) if tls else None
    process, port = start(directory, log, ca, core)
    try:
        yield Nginx(port, process.pid, directory, ca)
    finally:
        stop(process)


Process = subprocess.Popen[bytes]


def start(directory: Path, log: bool, ca: Path | None, core: int | None) -> tuple[Process, int]:
    failure = ""
    for _ in range(ATTEMPTS):
        port = free_port()
        configuration = directory / "nginx.conf"
        configuration.write_text(
            CONFIGURATION.format(
                directory=directory,
                port=port,
                access_log=f"{directory}/access.log combined buffer=64k flush=1s" if log else "off",
                tls=" ssl" if ca else "",
                certificate=f"ssl_certificate {ca}; ssl_certificate_key {directory}/key.pem;" if ca else "",
            )
        )
        command = [find_nginx(), "-p", str(directory), "-c", str(configuration)]
        command += ["-e", f"{directory}/error.log"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if core is not None:
            os.sched_setaffinity(process.pid, {core})
        if is_listening(process, directory, port):
            return process, port
        stop(process)
        failure = (directory / "error.log").read_text() if (directory / "error.log").exists() else ""
    raise RuntimeError(f"nginx did not start in {directory}:\n{failure[-2000:]}")


def is_listening(process: Process, directory: Path, port: int) -> bool:
    """True once this very process accepts; False when it ended or the deadline passed."""
    deadline = time.monotonic() + START_SECONDS
    # nginx writes the pid once it listens; that somebody accepts proves nothing, the port may be another's.
    written = directory / "nginx.pid"
    while process.poll() is None and time.monotonic() < deadline:
        if written.exists() and written.read_text().strip() == str(process.pid):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return True
        time.sleep(0.01)
    return False


def stop(process: Process) -> None:
    """A fast shutdown, which writes what is still in the log's buffer."""
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def make_certificate(directory: Path) -> Path:
    """A certificate for 127.0.0.1, signed by itself, valid for a day."""
    # Imported here: only the development install has it, and only TLS needs it.
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (directory / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    path = directory / "certificate.pem"
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return path
