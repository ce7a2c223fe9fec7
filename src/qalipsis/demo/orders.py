"""A small order service to look behind: it answers 202, then writes PostgreSQL and publishes to Kafka.

    python -m qalipsis.demo.orders --database postgresql://… --kafka localhost:9092 --drop 0.01

Its first line of output is its address. It ends with SIGTERM, or, with `--until-stdin-closes`, together with
the process that started it. Faults are planted with `--drop` (messages that never come) and `--falsify` (rows
with a wrong amount): a share of the orders, spread evenly.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, cast

import aiokafka
import asyncpg
import httptools

from qalipsis.demo.shop import watch_stdin

TABLE = """
CREATE TABLE IF NOT EXISTS orders (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id text NOT NULL UNIQUE,
    amount integer NOT NULL
)
"""
MOST_WAITING = 10_000


@dataclass(frozen=True, slots=True)
class Order:
    id: str
    amount: int


class Faults:
    """Which orders go wrong: every n-th, so that their number is known."""

    def __init__(self, share: float) -> None:
        self._share = share
        self._due = 0.0

    def strikes(self) -> bool:
        self._due += self._share
        if self._due < 1:
            return False
        self._due -= 1
        return True


class Orders:
    """Takes orders at once and works them off behind the caller's back."""

    def __init__(
        self, pool: Any, producer: aiokafka.AIOKafkaProducer, topic: str, drop: float, falsify: float
    ) -> None:
        self._pool = pool
        self._producer = producer
        self._topic = topic
        self._drop = Faults(drop)
        self._falsify = Faults(falsify)
        self._waiting: asyncio.Queue[Order] = asyncio.Queue(MOST_WAITING)

    def take(self, body: bytes) -> tuple[int, dict[str, Any]]:
        """Status and content of the answer."""
        try:
            content = json.loads(body)
            order = Order(str(content["id"]), int(content["amount"]))
        except (ValueError, KeyError, TypeError):
            return 400, {"error": 'an order has an id and an amount: {"id": "7", "amount": 3}'}
        try:
            self._waiting.put_nowait(order)
        except asyncio.QueueFull:
            return 503, {"error": "too many orders wait"}
        return 202, {"id": order.id, "amount": order.amount}

    async def work(self) -> None:
        """Store and publish, one order after the other: rows become visible in the order of their numbers."""
        while True:
            order = await self._waiting.get()
            amount = order.amount + 1 if self._falsify.strikes() else order.amount
            await self._pool.execute("INSERT INTO orders (id, amount) VALUES ($1, $2)", order.id, amount)
            if not self._drop.strikes():
                message = json.dumps({"id": order.id, "amount": order.amount}).encode()
                await self._producer.send_and_wait(self._topic, message, key=order.id.encode())


class Connection(asyncio.Protocol):
    """One HTTP/1.1 client: POST /orders."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders
        self._parser = httptools.HttpRequestParser(self)
        self._url = b""
        self._body = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._transport.close()

    def on_message_begin(self) -> None:
        self._url = self._body = b""

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_body(self, data: bytes) -> None:
        self._body += data

    def on_message_complete(self) -> None:
        is_order = self._url == b"/orders" and self._parser.get_method() == b"POST"
        status, content = self._orders.take(self._body) if is_order else (404, {"error": "POST /orders"})
        body = json.dumps(content).encode()
        head = (
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self._transport.write(head.encode() + body)


async def serve(given: argparse.Namespace) -> None:
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    async with asyncpg.create_pool(given.database, min_size=1, max_size=1) as pool:
        await pool.execute(TABLE)
        producer = aiokafka.AIOKafkaProducer(bootstrap_servers=given.kafka)
        await producer.start()
        orders = Orders(pool, producer, given.topic, given.drop, given.falsify)
        worker = asyncio.create_task(orders.work())
        server = await loop.create_server(lambda: Connection(orders), given.host, given.port)
        try:
            if given.until_stdin_closes:
                await watch_stdin(stopped.set)
            address = server.sockets[0].getsockname()
            print(f"http://{address[0]}:{address[1]}", flush=True)
            worker.add_done_callback(lambda _: stopped.set())
            await stopped.wait()
        finally:
            server.close()
            worker.cancel()
            await asyncio.wait([worker])
            await producer.stop()
    if not worker.cancelled():
        worker.result()  # what broke it


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m qalipsis.demo.orders", description="A small order service."
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 (the default) takes a free one")
    parser.add_argument("--database", required=True, help="postgresql://user:password@host:port/name")
    parser.add_argument("--kafka", required=True, help="host:port of a broker")
    parser.add_argument("--topic", default="orders")
    parser.add_argument("--drop", type=float, default=0.0, help="share of orders whose message is not sent")
    parser.add_argument(
        "--falsify", type=float, default=0.0, help="share of orders stored with a wrong amount"
    )
    parser.add_argument("--until-stdin-closes", action="store_true")
    given = parser.parse_args()
    try:
        asyncio.run(serve(given))
    except (OSError, asyncpg.PostgresError, aiokafka.errors.KafkaError) as error:
        sys.exit(f"cannot start: {error}")


if __name__ == "__main__":
    main()
