from __future__ import annotations

import os
import ssl
from pathlib import Path
from urllib.request import urlopen

import pytest

from benchmarks.nginx import NginxMissing, find_nginx, nginx, run_nginx

try:
    find_nginx()
except NginxMissing:
    if "CI" not in os.environ:
        pytest.skip("nginx is not installed", allow_module_level=True)


def test_every_request_stands_in_the_log_once_the_server_has_stopped(tmp_path: Path) -> None:
    with run_nginx(tmp_path, log=True) as server:
        for _ in range(3):
            urlopen(server.url).close()
        urlopen(f"{server.url}/other").close()
    assert server.logged() == 4
    assert server.logged(b"GET /other ") == 1


def test_it_speaks_tls_with_a_certificate_that_can_be_trusted() -> None:
    with nginx(tls=True) as server:
        context = ssl.create_default_context(cafile=str(server.ca))
        with urlopen(server.url, context=context) as answer:
            assert answer.status == 200


def test_nothing_is_left_behind() -> None:
    with nginx() as server:
        pass
    assert not server.directory.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(server.pid, 0)
