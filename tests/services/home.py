"""A directory and the processes of one service: both end with the test session, also when that is killed."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from glob import glob
from pathlib import Path
from random import SystemRandom
from tempfile import mkdtemp

HOST = "127.0.0.1"
START_SECONDS = 60.0  # RabbitMQ and Kafka take 6 s on a quiet machine
STOP_SECONDS = 10.0
LOOK_SECONDS = 0.02
LINES_OF_LOG = 40

GUARD = Path(__file__).with_name("guard")
# Below the ports of outgoing connections, which would take that of a service while it is stopped. So would
# tests of another process: each has ports of its own, by the numbers that pytest-xdist gives.
PROCESS = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
PROCESSES = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
PORTS = range(15_000 + PROCESS, 30_000, PROCESSES)


class ServiceMissing(RuntimeError):
    """The service is not installed on this machine."""


class ServiceFailed(RuntimeError):
    """The service is installed and does not start; the message ends with its log."""


def find_program(name: str, *patterns: str) -> str:
    """The path of a program, in the last directory that matches one of `patterns` or in a usual one."""
    for pattern in patterns:
        directories = sorted(glob(pattern))
        if directories and (path := shutil.which(name, path=directories[-1])):
            return path
    if path := shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin"):
        return path
    raise ServiceMissing(f"{name} is not installed; run `sh tests/services/install`")


def free_port() -> int:
    """A port on the loopback interface that nobody listens on."""
    while True:
        port = SystemRandom().choice(PORTS)
        with socket.socket() as probe:
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return port


def answers(port: int, question: bytes, beginning: bytes, tls: ssl.SSLContext | None = None) -> bool:
    """Whether the server on `port` answers `question` with bytes that start with `beginning`."""
    try:
        with ExitStack() as stack:
            connection = stack.enter_context(socket.create_connection((HOST, port), timeout=1.0))
            if tls is not None:
                connection = stack.enter_context(tls.wrap_socket(connection, server_hostname=HOST))
            connection.sendall(question)
            answer = b""
            while len(answer) < len(beginning) and (more := connection.recv(4096)):
                answer += more
            return answer.startswith(beginning)
    except OSError:
        return False


class Server:
    """One process that can be stopped and started again, on the same port and data."""

    def __init__(
        self,
        home: Home,
        name: str,
        command: Sequence[str],
        is_ready: Callable[[], bool],
        *,
        user: str | None = None,
        environment: Mapping[str, str] | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
    ) -> None:
        self._home = home
        self._name = name
        self._command = command
        self._is_ready = is_ready
        self._user = user
        self._environment = environment
        self._stop_signal = stop_signal
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process id, None while stopped."""
        return self._process.pid if self._process else None

    def launch(self) -> None:
        """Start without waiting for readiness; nothing happens while it runs."""
        if self._process:
            return
        with self.log.open("ab") as log:
            # In a session of its own: a Ctrl-C in the terminal is for the tests, which then stop it in order.
            self._process = self._home.run(
                self._command, stdout=log, user=self._user, environment=self._environment
            )
        self._home.tell_guard()

    def wait_ready(self) -> None:
        """Return once it answers; raise ServiceFailed with its log when it ends or takes too long."""
        deadline = time.monotonic() + START_SECONDS
        while not self._is_ready():
            if self._process is None:
                raise ServiceFailed(f"{self._name} was stopped while it started")
            if (code := self._process.poll()) is not None:
                self._forget()
                raise ServiceFailed(f"{self._name} ended with {code} instead of starting{self._last_lines()}")
            if time.monotonic() > deadline:
                self.kill()
                raise ServiceFailed(
                    f"{self._name} did not answer within {START_SECONDS:g} s{self._last_lines()}"
                )
            time.sleep(LOOK_SECONDS)

    def start(self) -> None:
        """Start and return once it answers."""
        self.launch()
        self.wait_ready()

    def stop(self) -> None:
        """Ask it to end and wait; kill it when it does not."""
        self._end(self._stop_signal)

    def kill(self) -> None:
        """End it at once, as a crash would."""
        self._end(self._home.kill_signal)

    def send(self, which: signal.Signals) -> None:
        assert self._process is not None, f"{self._name} does not run"
        self._process.send_signal(which)

    @property
    def log(self) -> Path:
        """What it wrote to its standard output and error, over all its starts."""
        return self._home.path / f"{self._name}.log"

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(how)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        finally:
            self._forget()

    def _forget(self) -> None:
        assert self._process is not None
        with suppress(ProcessLookupError):  # helpers of its own that outlived it
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process = None
        self._home.tell_guard()

    def _last_lines(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()[-LINES_OF_LOG:]
        return ":\n  " + "\n  ".join(lines) if lines else " and wrote nothing"


class Home:
    """Where a service keeps what it has: files in `path`, processes made by `server`."""

    def __init__(self, path: Path, kill_signal: signal.Signals, guard: subprocess.Popen[bytes]) -> None:
        self.path = path
        self.kill_signal = kill_signal
        self._guard = guard
        self._servers: list[Server] = []

    def server(
        self,
        name: str,
        command: Sequence[str],
        is_ready: Callable[[], bool],
        *,
        user: str | None = None,
        environment: Mapping[str, str] | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
    ) -> Server:
        """A process that writes to `<name>.log` in this directory and is stopped with it; not started yet."""
        server = Server(
            self, name, command, is_ready, user=user, environment=environment, stop_signal=stop_signal
        )
        self._servers.append(server)
        return server

    def run_once(
        self, command: Sequence[str], *, user: str | None = None, environment: Mapping[str, str] | None = None
    ) -> str:
        """What a command prints that prepares the service; ServiceFailed when it fails."""
        process = self.run(command, stdout=subprocess.PIPE, user=user, environment=environment)
        try:
            printed, _ = process.communicate(timeout=START_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            printed, _ = process.communicate()
            raise ServiceFailed(f"{command[0]} did not end within {START_SECONDS:g} s") from None
        text = printed.decode(errors="replace")
        if process.returncode != 0:
            raise ServiceFailed(f"{command[0]} ended with {process.returncode}:\n{text}")
        return text

    def run(
        self,
        command: Sequence[str],
        *,
        stdout: object,
        user: str | None,
        environment: Mapping[str, str] | None,
    ) -> subprocess.Popen[bytes]:
        """A process in this directory and in a session of its own; its errors go where its output goes."""
        return subprocess.Popen(  # type: ignore[call-overload, no-any-return]
            command,
            cwd=self.path,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, **(environment or {})},
            **({"user": user, "group": user, "extra_groups": []} if user else {}),
        )

    def tell_guard(self) -> None:
        """Tell the guard which processes run now."""
        running = " ".join(str(server.pid) for server in self._servers if server.pid)
        assert self._guard.stdin is not None
        self._guard.stdin.write(f"{running}\n".encode())
        self._guard.stdin.flush()

    def close(self) -> None:
        """Stop what runs, the last made first, and remove the directory."""
        for server in reversed(self._servers):
            server.stop()
        assert self._guard.stdin is not None
        self._guard.stdin.close()
        self._guard.wait()


@contextmanager
def open_home(service: str, kill_signal: signal.Signals = signal.SIGKILL) -> Iterator[Home]:
    """A new directory for a service, guarded; `kill_signal` ends its processes and theirs at once."""
    with ExitStack() as undo:
        path = Path(mkdtemp(prefix=f"qalipsis-{service}-"))
        guard = subprocess.Popen(
            ["sh", str(GUARD), str(path), kill_signal.name.removeprefix("SIG")],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        home = Home(path, kill_signal, guard)
        undo.callback(home.close)
        yield home
