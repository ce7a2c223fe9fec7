"""Campaigns on this machine, with real worker processes and everything that can happen to them."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Collection
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from qalipsis.cluster import topics
from qalipsis.cluster.inbox import Inbox
from qalipsis.cluster.memory import MemoryTransport
from qalipsis.cluster.messages import PROTOCOL, Handshake, Shutdown
from qalipsis.config.loader import load
from qalipsis.errors import (
    CampaignRefused,
    ConfigurationError,
    ScenarioErrors,
    ServiceUnavailable,
)
from qalipsis.factory import supervisor
from qalipsis.head.memory_directory import MemoryDirectory
from qalipsis.head.memory_store import MemoryStore
from qalipsis.head.office import Office
from qalipsis.head.reception import Reception
from qalipsis.head.roster import Roster
from qalipsis.reports.live import Live
from qalipsis.reports.model import Report
from qalipsis.system_clock import SystemClock
from qalipsis.wiring import Head, Run, RunRequest, open_run
from qalipsis.wiring.offices import Cabinet

QUIET = """
    from qalipsis import profile, scenario

    quiet = (
        scenario("quiet", minions=40, profile=profile.regular("20ms", 4))
        .start()
        .returns(1)
        .delay("50ms").named("nap")
        .verify(lambda one: one == 1).named("is-one")
    )
"""
ENDLESS = """
    from qalipsis import scenario

    endless = scenario("endless", minions=10).start().returns(1).delay("10ms").iterate(100_000)
"""


def doing(what: str, minions: int = 4) -> str:
    """A scenario whose third minion does something to its process."""
    return f"""
    import os, signal, sys, time
    from qalipsis import profile, scenario

    def work(context, value):
        if context.minion.index == 2:
            {what}
        return value

    doing = (
        scenario("doing", minions={minions}, profile=profile.regular("50ms", 1))
        .start().returns(1).map_with_context(work).named("work").delay("300ms")
    )
    """


class Case:
    """One campaign: its file, its settings and what was seen of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lives: list[Live] = []
        self.pids: list[int] = []
        self.check_keys: Callable[[Collection[str]], None] = lambda keys: None

    async def run(
        self, source: str, *settings: str, meanwhile: Callable[[Run, Live], None] | None = None
    ) -> Report:
        file = self.folder / "scenarios.py"
        file.write_text(dedent(source))
        configuration = load(self.folder, {}, settings)
        request = RunRequest(
            paths=(file,),
            settings=configuration.settings,
            properties=configuration.properties,
            check_keys=self.check_keys,
        )

        def watch(live: Live) -> None:
            self.lives.append(live)
            if meanwhile is not None:
                meanwhile(run, live)

        others = set(children())  # the services of tests that ran before
        async with asyncio.timeout(60), open_run(request, watch) as run:
            self.pids = [pid for pid in children() if pid not in others]
            return await run.wait()


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


@pytest.fixture(autouse=True)
def no_process_is_left() -> Any:
    before = set(children())
    yield
    assert set(children()) <= before


def children() -> list[int]:
    return [int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def assert_balanced(report: Report) -> None:
    minions, requests = report.ledger.minions, report.ledger.requests
    assert minions.scheduled + minions.restarted == minions.unstarted + minions.started
    assert minions.started == minions.completed + minions.failed + minions.aborted + minions.lost
    assert requests.attempted == requests.ok + requests.error + requests.unknown
    assert report.verdict.value != "INVALID", report.verdict


async def test_all_workers_share_the_minions(case: Case) -> None:
    report = await case.run(QUIET, "factory.workers=2", "factory.node-id=here", "campaign.seed=5")
    assert len(case.pids) == 2
    assert report.campaign.status == "SUCCESSFUL"
    assert_balanced(report)
    assert report.ledger.minions.completed == 40
    assert [step.executions.successful for step in report.scenarios[0].steps] == [40, 40, 40]
    [factory] = report.factories
    assert (factory.node, factory.state) == ("here", "ENDED")
    assert sorted(worker.pid for worker in factory.worker_details) == sorted(case.pids)
    assert report.campaign.seed == 5
    assert (case.lives[0].state, case.lives[-1].state) == ("PREPARING", "COMPLETED")
    assert case.lives[-1].minions_ended == 40


async def test_the_minions_of_the_factorys_zone_are_reported(case: Case) -> None:
    report = await case.run(QUIET, "factory.workers=0", "factory.zone=eu-west-1")
    assert report.scenarios[0].zones == {"eu-west-1": 40}
    assert report.factories[0].zone == "eu-west-1"


async def test_without_worker_processes_everything_runs_here(case: Case) -> None:
    report = await case.run(QUIET, "factory.workers=0")
    assert case.pids == []
    assert report.ledger.minions.completed == 40
    assert report.factories[0].worker_details[0].pid == os.getpid()
    assert_balanced(report)


async def test_the_minions_are_scaled(case: Case) -> None:
    report = await case.run(QUIET, "factory.workers=0", "campaign.minions-factor=0.5")
    assert report.ledger.minions.completed == 20


@pytest.mark.parametrize(
    ("what", "how"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", "was killed by SIGKILL"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "was killed by SIGSEGV"),
        ("os._exit(3)", "ended with exit code 3"),
        ("os.fork() or (time.sleep(3), os._exit(0)); os._exit(4)", "ended with exit code 4"),
    ],
)
async def test_a_worker_that_dies_is_named_and_the_others_go_on(case: Case, what: str, how: str) -> None:
    continuing = "campaign.on-factory-loss=continue"
    report = await case.run(doing(what, minions=12), "factory.workers=2", "factory.node-id=here", continuing)
    assert_balanced(report)
    assert report.verdict.value == "DEGRADED"
    [reason] = report.verdict.reasons
    assert reason.startswith(f"worker 0 of here (process {case.pids[0]}) {how}")
    assert "after the start" in reason
    dead, alive = report.factories[0].worker_details
    assert (dead.state, alive.state) == ("LOST", "ENDED")
    assert dead.lost_at is not None
    minions = report.ledger.minions
    assert (minions.scheduled, minions.completed) == (12, 6)
    assert minions.lost > 0
    assert minions.lost + minions.unstarted == 6
    assert any(how in notice for notice in case.lives[-1].notices)


@pytest.mark.parametrize("accepts", [False, True])
async def test_the_minions_of_a_killed_worker_are_started_again_by_the_others(
    case: Case, accepts: bool
) -> None:
    source = """
        from qalipsis import profile, scenario

        slow = (
            scenario("slow", minions=12, profile=profile.regular("50ms", 1))
            .start().returns(1).delay("100ms").iterate(10)
        )
    """

    def kill(run: Run, live: Live) -> None:
        if live.minions_running and len(case.pids) == 2:
            os.kill(case.pids.pop(0), signal.SIGKILL)

    report = await case.run(
        source, "factory.workers=2", f"campaign.accept-redistribution={accepts}", meanwhile=kill
    )
    assert_balanced(report)
    minions = report.ledger.minions
    assert (minions.scheduled, minions.completed) == (12, 12)
    assert minions.restarted == minions.lost + minions.unstarted > 0
    assert (report.campaign.status, report.verdict.value) == (
        *("SUCCESSFUL",),
        "VALID" if accepts else "DEGRADED",
    )
    assert "was killed by SIGKILL" in report.verdict.reasons[0]
    texts = [message.text for message in report.scenarios[0].messages]
    assert any(f"{minions.restarted} minions of lost workers are started again" in text for text in texts)


async def test_a_minion_that_kills_each_worker_it_comes_to_ends_with_the_last_one(case: Case) -> None:
    report = await case.run(doing("os._exit(3)", minions=12), "factory.workers=2", "factory.node-id=here")
    assert_balanced(report)
    assert (report.campaign.status, report.verdict.value) == ("FAILED", "DEGRADED")
    assert [worker.state for worker in report.factories[0].worker_details] == ["LOST", "LOST"]
    assert sum("ended with exit code 3" in reason for reason in report.verdict.reasons) == 2
    assert any("were not started again" in reason for reason in report.verdict.reasons)


async def test_the_campaign_ends_with_its_last_worker(case: Case) -> None:
    report = await case.run(doing("os._exit(3)", minions=100), "factory.workers=1")
    assert_balanced(report)
    assert (report.campaign.status, report.verdict.value) == ("FAILED", "DEGRADED")
    assert report.campaign.duration_s < 3
    assert report.factories[0].state == "LOST"


async def test_code_that_blocks_the_loop_raises_an_alarm_while_it_lasts(case: Case) -> None:
    report = await case.run(doing("time.sleep(4)"), "factory.workers=2")
    assert_balanced(report)
    alarmed = next(live for live in case.lives if live.notices)
    assert alarmed.elapsed_s < 4
    assert "does not report: user code blocks its event loop" in alarmed.notices[0]
    assert report.factories[0].loop_lag_p99_ms > 3000


async def test_a_worker_that_never_reports_again_does_not_keep_the_campaign(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "DEAF_SECONDS", 3.0)
    report = await case.run(doing("os.kill(os.getpid(), signal.SIGSTOP)"), "factory.workers=2")
    assert_balanced(report)
    assert any("did not report for 3 s and was killed" in reason for reason in report.verdict.reasons)
    assert report.ledger.minions.lost


async def test_what_user_code_raises_is_counted(case: Case) -> None:
    report = await case.run(doing("sys.exit(7)"), "factory.workers=1")
    work = next(step for step in report.scenarios[0].steps if step.name == "work")
    assert (work.executions.attempted, work.executions.errors) == (4, {"SystemExit": 1})
    assert "sys.exit(7)" in work.first_error
    assert (report.campaign.status, report.verdict.value) == ("FAILED", "VALID")


@pytest.mark.parametrize("workers", [0, 2])
async def test_a_soft_stop_lets_passes_end(case: Case, workers: int) -> None:
    source = """
        from qalipsis import profile, scenario

        minute = profile.stages(profile.stage(100, ramp_up="1s", total="60s"))
        steady = scenario("steady", minions=10, profile=minute).start().returns(1).delay("100ms")
    """

    def stop(run: Run, live: Live) -> None:
        if live.state == "RUNNING" and live.minions_running == 10:
            run.stop(hard=False)

    report = await case.run(source, f"factory.workers={workers}", meanwhile=stop)
    assert_balanced(report)
    assert (report.campaign.status, report.verdict.value) == ("ABORTED", "VALID")
    assert (report.ledger.minions.completed, report.ledger.minions.aborted) == (10, 0)
    assert report.campaign.duration_s < 10


@pytest.mark.parametrize("workers", [0, 2])
async def test_a_hard_stop_interrupts_everything(case: Case, workers: int) -> None:
    def stop(run: Run, live: Live) -> None:
        if live.elapsed_s > 0.5:
            run.stop(hard=True)

    report = await case.run(ENDLESS, f"factory.workers={workers}", meanwhile=stop)
    assert_balanced(report)
    assert report.campaign.status == "ABORTED"
    assert report.ledger.minions.aborted == 10


async def test_a_soft_stop_has_a_limit(case: Case) -> None:
    def stop(run: Run, live: Live) -> None:
        if live.elapsed_s > 0.5:
            run.stop(hard=False)

    report = await case.run(
        ENDLESS, "factory.workers=1", "factory.graceful-shutdown.campaign=300ms", meanwhile=stop
    )
    assert report.ledger.minions.aborted == 10
    assert report.campaign.duration_s < 8


async def test_all_mistakes_of_the_scenarios_are_raised_here(case: Case) -> None:
    source = """
        from qalipsis import scenario

        one = scenario("Not A Name").start().returns(1)
        two = scenario("two", minions=-1).start().returns(1).timeout("-3s")
    """
    with pytest.raises(ScenarioErrors) as raised:
        await case.run(source, "factory.workers=2")
    assert len(raised.value.mistakes) >= 3
    assert all(mistake.line for mistake in raised.value.mistakes)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("def broken(:", "syntax error"),
        ("import os; os._exit(3)", "ended with exit code 3"),
        ("import sys; sys.exit('no')", "SystemExit: no"),
        ("answer = 42", "no scenario is defined here"),
    ],
)
async def test_a_file_that_cannot_be_used_is_told(case: Case, source: str, words: str) -> None:
    with pytest.raises(ScenarioErrors, match=words):
        await case.run(source, "factory.workers=1")


async def test_scenarios_that_differ_between_workers_are_refused(case: Case) -> None:
    source = """
        import os
        from qalipsis import scenario

        chance = scenario(f"chance-{os.getpid()}").start().returns(1)
    """
    with pytest.raises(ScenarioErrors, match="must not depend on the process"):
        await case.run(source, "factory.workers=2")


async def test_keys_that_nobody_reads_are_refused_before_anything_starts(case: Case) -> None:
    def check(keys: Collection[str]) -> None:
        assert set(keys) == {"shop.size"}
        raise ConfigurationError("unknown key shop.sise: did you mean shop.size?")

    case.check_keys = check
    source = """
        from qalipsis import prop, scenario

        sized = scenario("sized", minions=prop("shop.size", type=int)).start().returns(1)
    """
    with pytest.raises(ConfigurationError, match="did you mean"):
        await case.run(source, "factory.workers=1", "shop.size=3")
    assert case.lives == []


async def test_too_many_minions_are_refused_here(case: Case) -> None:
    with pytest.raises(CampaignRefused, match="40 minions are more than the 39"):
        await case.run(QUIET, "factory.workers=1", "campaign.configuration.validation.max-minions-count=39")


VISIT = """
    from qalipsis import prop, scenario
    from qalipsis.plugins import http

    shop = http.client(prop("shop.url", type=str), warm_up=prop("shop.warm-up", default=False, type=bool))
    visit = scenario("visit", minions=prop("visitors", default=4)).start().then(shop.get("/")).named("get")
"""


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.mark.parametrize("workers", [0, 2])
async def test_more_connections_than_this_machine_can_hold_are_refused(case: Case, workers: int) -> None:
    with pytest.raises(CampaignRefused, match=r"ulimit -n \d+|ip_local_port_range"):
        await case.run(VISIT, f"factory.workers={workers}", "shop.url=http://127.0.0.1:9", "visitors=70000")
    assert "RUNNING" not in {live.state for live in case.lives}


async def test_a_service_that_cannot_be_connected_to_ahead_is_named(case: Case, closed_port: int) -> None:
    with pytest.raises(ServiceUnavailable, match=rf"127\.0\.0\.1:{closed_port}"):
        await case.run(
            VISIT, "factory.workers=2", f"shop.url=http://127.0.0.1:{closed_port}", "shop.warm-up=true"
        )


async def test_a_stop_interrupts_the_preparation(case: Case) -> None:
    """A service that accepts connections and never answers cannot finish a TLS handshake."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()

        def stop(run: Run, live: Live) -> None:
            if live.state == "WARMUP":
                run.stop(hard=False)

        url = f"shop.url=https://127.0.0.1:{silent.getsockname()[1]}"
        began = time.monotonic()
        report = await case.run(VISIT, "factory.workers=2", url, "shop.warm-up=true", meanwhile=stop)
    assert (report.campaign.status, report.verdict.value) == ("ABORTED", "VALID")
    assert report.ledger.minions.started == 0
    assert time.monotonic() - began < 5


async def test_a_service_that_refuses_connections_is_told_before_the_start(
    case: Case, closed_port: int
) -> None:
    with pytest.raises(ServiceUnavailable, match=rf"127\.0\.0\.1:{closed_port} refuses connections"):
        await case.run(VISIT, "factory.workers=2", f"shop.url=http://127.0.0.1:{closed_port}")


async def test_an_interrupted_request_is_accounted_for(case: Case) -> None:
    """A service that accepts connections and never answers."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()

        def stop(run: Run, live: Live) -> None:
            if live.requests == 4:
                run.stop(hard=True)

        url = f"shop.url=http://127.0.0.1:{silent.getsockname()[1]}"
        report = await case.run(VISIT, "factory.workers=2", url, meanwhile=stop)
    assert_balanced(report)
    assert (report.ledger.requests.attempted, report.ledger.requests.error) == (4, 4)
    assert report.ledger.minions.aborted == 4


async def test_requests_of_a_killed_worker_are_unknown(case: Case) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()

        def kill(run: Run, live: Live) -> None:
            if live.requests == 4 and case.pids:
                os.kill(case.pids.pop(0), signal.SIGKILL)
            if live.notices:
                run.stop(hard=True)

        url = f"shop.url=http://127.0.0.1:{silent.getsockname()[1]}"
        report = await case.run(
            VISIT, "factory.workers=2", url, "campaign.on-factory-loss=continue", meanwhile=kill
        )
    assert_balanced(report)
    requests = report.ledger.requests
    assert (requests.attempted, requests.error + requests.unknown) == (4, 4)
    assert requests.unknown >= 2
    assert report.verdict.value == "DEGRADED"


DRIVER = """
import asyncio, sys
from pathlib import Path
from qalipsis.config.loader import load
from qalipsis.wiring import RunRequest, open_run

async def main():
    settings = load(Path(sys.argv[1]).parent, {}, ["factory.workers=2"]).settings
    request = RunRequest(paths=(sys.argv[1],), settings=settings)
    async with open_run(request, lambda live: print(live.state, flush=True)) as run:
        await run.wait()

asyncio.run(main())
"""


def start_driver(folder: Path, source: str) -> subprocess.Popen[bytes]:
    file = folder / "scenarios.py"
    file.write_text(dedent(source))
    return subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(file)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def workers_of(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def wait_until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_workers_die_with_their_parent_even_when_user_code_blocks(tmp_path: Path) -> None:
    driver = start_driver(tmp_path, doing("time.sleep(30)"))
    assert driver.stdout is not None
    while driver.stdout.readline() != b"RUNNING\n":
        assert driver.poll() is None
    workers = workers_of(driver.pid)
    assert len(workers) == 2
    driver.kill()
    driver.communicate()
    wait_until(lambda: not any(map(is_running, workers)), seconds=3)


def test_interrupts_of_the_terminal_are_left_to_the_parent(tmp_path: Path) -> None:
    driver = start_driver(tmp_path, doing("time.sleep(0.1)"))
    assert driver.stdout is not None
    wait_until(lambda: len(workers_of(driver.pid)) == 2)
    for worker in workers_of(driver.pid):
        for sent in (signal.SIGINT, signal.SIGTERM):
            os.kill(worker, sent)  # while it may still be starting
    output, _ = driver.communicate(timeout=30)
    assert driver.returncode == 0, output
    assert output.split()[-1] == b"COMPLETED"


def test_what_user_code_prints_reaches_the_terminal(tmp_path: Path) -> None:
    what = "print('héllo ' + 'x' * 10_000); sys.stderr.write('oops\\n'); os.write(1, b'raw\\n')"
    driver = start_driver(tmp_path, doing(what))
    output, _ = driver.communicate(timeout=30)
    assert driver.returncode == 0, output
    assert f"héllo {'x' * 10_000}\n".encode() in output
    assert b"oops\n" in output
    assert b"raw\n" in output


async def test_a_profile_that_breaks_refuses_the_campaign_whatever_runs_beside_it(case: Case) -> None:
    source = """
        from qalipsis import profile, scenario

        def starting(name, lines):
            return scenario(name, minions=5, profile=lines).start().pipe()

        good = starting("good", profile.immediate())
        bad = starting("bad", profile.define(lambda past, n, factor: "x"))
    """
    with pytest.raises(CampaignRefused, match=r"scenarios\.py:5: define: the function returned 'x'"):
        await case.run(source, "factory.workers=1")


async def test_who_starts_the_next_head_does_not_find_the_factories_that_were_dismissed() -> None:
    clock, transport = SystemClock(), MemoryTransport()
    directory, store = MemoryDirectory(clock), MemoryStore(clock)
    office = Office(
        head="head",
        transport=transport,
        store=store,
        directory=directory,
        roster=Roster(directory),
        clock=clock,
        heartbeat_s=1.0,
        lease_s=15.0,
        claim_lease_s=3.0,
    )
    handshake = Handshake(node="eu-1", protocol=PROTOCOL, version="1", workers=1, scenarios=())
    await directory.register(handshake, 7)
    nothing: Any = None
    cabinet = Cabinet(store, directory, nothing, nothing)
    await Head(office, Reception(office, 1), nothing, cabinet).dismiss_factories()
    assert await directory.factories() == ()
    async for received in Inbox(transport, topics.node("eu-1", 7)).messages():
        assert isinstance(received.message, Shutdown)
        break
