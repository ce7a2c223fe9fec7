from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from qalipsis.language.security import Security
from qalipsis.plugins import http
from qalipsis.plugins.http.settings import Settings

shop = http.client("http://shop.example")


def test_the_defaults_are_those_of_the_documentation() -> None:
    settings = shop.settings()
    assert settings == Settings(
        target=settings.target,
        credentials=None,
        connections="per-minion",
        warm_up=False,
        pool_size=10,
        timeout=30.0,
        connect_timeout=10.0,
        read_timeout=None,
        security=Security("http.client", True, None),
        proxy=None,
        follow_redirects=True,
        max_redirects=10,
        decompress=True,
        max_body=10_000_000,
        hosts={},
        dns_ttl=60.0,
    )


def test_options_become_seconds_bytes_and_addresses(tmp_path: Path) -> None:
    pem = tmp_path / "pem"
    pem.write_text("")
    client = http.client(
        "https://ann:secret@shop.example/api",
        connections="pool",
        pool_size=3,
        timeout="2s",
        connect_timeout=0.5,
        read_timeout="PT1S",
        verify=pem,
        cert=(pem, str(pem)),
        proxy="socks5://127.0.0.1",
        max_body="1MiB",
        hosts={"Shop.Example": "::1"},
        dns_ttl=0,
    )
    assert client.problems() == []
    settings = client.settings()
    assert (settings.timeout, settings.connect_timeout, settings.read_timeout) == (2.0, 0.5, 1.0)
    assert (settings.security.verify, settings.security.cert) == (str(pem), (str(pem), str(pem)))
    assert settings.proxy is not None
    assert settings.proxy.port == 1080
    assert (settings.max_body, settings.hosts, settings.dns_ttl) == (1_048_576, {"shop.example": "::1"}, 0.0)
    assert settings.credentials == ("ann", "secret")
    assert replace(client, cert=str(pem)).settings().security.cert == (str(pem), None)
