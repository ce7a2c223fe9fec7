"""Checked by mypy in test_types.py, never run: lines marked `# wrong` must be errors, all others must not."""

from typing import assert_type

from qalipsis import (
    Chain,
    Context,
    Minion,
    Pair,
    Source,
    backoff,
    journey,
    profile,
    prop,
    scenario,
    step,
    uniform,
)
from qalipsis.plugins import http
from qalipsis.plugins.http.response import Response

shop = http.client(prop("shop.url", default="http://127.0.0.1:8080"), connections="per-minion", timeout="5s")

page = scenario("page", minions=10).start().then(shop.get("/"))
assert_type(page, Chain[Response])
page.verify(lambda response: response.status == 200)
page.verify(lambda response: response.statuz == 200)  # wrong
page.map(lambda response: response.status).map(lambda status: status + 1)
page.map(lambda response: response.status).map(lambda status: status.upper())  # wrong
page.verify(lambda context, response: context.iteration == 0 and response.status == 200)
page.verify(lambda context, response: context.iteratoin == 0)  # wrong

numbers = scenario("numbers").start().returns(21)
assert_type(numbers.map(lambda number: number * 2), Chain[int])
assert_type(numbers.flat_map(lambda number: ["a"] * number), Chain[str])
assert_type(numbers.filter(lambda number: number > 1), Chain[int])


def as_text(chain: Chain[int]) -> Chain[str]:
    return chain.map(str)


def as_half(chain: Chain[int]) -> Chain[float]:
    return chain.map(lambda number: number / 2)


assert_type(numbers.gather(as_text, as_half), Chain[tuple[str, float]])
assert_type(numbers.stage("inner", lambda c: c.map(str).iterate(2)), Chain[str])
numbers.stage("inner", lambda c: c.map(str)).map(lambda text: text.nope())  # wrong
numbers.delay(uniform("1s", "2s")).retry(backoff(retries=2)).timeout("3s").tolerate(0.01)
numbers.delay(object())  # wrong
numbers.timer("t", lambda value: value).should_satisfy(lambda t: t.percentile(95).is_less_than("1s"))
numbers.should_satisfy(lambda t: t.percentile(95).is_less_than("1s"))  # wrong
numbers.expect(step("a").latency.percentile(99).is_less_than("1s"))
numbers.expect(step("a").latency.percentile(99))  # wrong
scenario("staged", profile=profile.stages(profile.stage(100, ramp_up="30s", total="2m")))


async def free(context: Context) -> None:
    context.send(context.input)


numbers.execute(free)
numbers.execute(lambda value: value)  # wrong


@journey("browse", minions=200, profile=profile.arrival_rate(50, over="1m"))
async def browse(minion: Minion) -> None:
    home = await minion.do(shop.get("/"), name="home")
    assert_type(home, Response)
    assert home.status == 200
    print(home.statuz)  # wrong
    await minion.pause(uniform("1s", "3s"))
    row = await minion.take(Rows())
    assert_type(row, dict[str, int])
    row.nope()  # wrong


class Rows(Source[dict[str, int]]):
    kind = "test.rows"


rows = scenario("rows").start().then(Rows())
assert_type(rows, Chain[dict[str, int]])
assert_type(scenario("rows").start().then(Rows().unicast(buffer=10)), Chain[dict[str, int]])
pairs = page.inner_join(Rows(), on=lambda page: page.status, having=lambda row: row["id"], timeout="1s")
assert_type(pairs, Chain[Pair[Response, dict[str, int]]])
pairs.timer("delay", lambda pair: pair.right["at"] - pair.left.done)
pairs.map(lambda pair: pair.left.dnoe)  # wrong
page.inner_join(Rows(), on=lambda page: page.status, having=lambda row: row.id, timeout="1s")  # wrong
left = page.left_join(Rows(), on=lambda page: page.status, having=lambda row: row["id"], timeout="1s")
left.map(lambda pair: pair.right["id"])  # wrong
assert_type(page.zip(Rows()), Chain[Pair[Response, dict[str, int]]])
assert_type(numbers.collect("1s", 10), Chain[list[int]])
