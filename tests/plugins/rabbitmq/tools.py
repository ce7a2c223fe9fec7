"""Queues and exchanges for tests, made and seen with the driver itself."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any
from uuid import uuid4

import aiormq


class Tools:
    def __init__(self, connection: Any, channel: Any, url: str) -> None:
        self.connection = connection
        self.channel = channel
        self._url = url
        self._queues: list[str] = []
        self._exchanges: list[str] = []

    async def queue(self, **options: Any) -> str:
        """A new queue."""
        name = f"test-{uuid4().hex}"
        await self.channel.queue_declare(name, durable=True, **options)
        self._queues.append(name)
        return name

    async def exchange(self, kind: str = "topic") -> str:
        """A new exchange."""
        name = f"test-{uuid4().hex}"
        await self.channel.exchange_declare(name, exchange_type=kind, durable=True)
        self._exchanges.append(name)
        return name

    async def bind(self, queue: str, exchange: str, routing_key: str) -> None:
        await self.channel.queue_bind(queue, exchange, routing_key)

    async def put(self, queue: str, *bodies: bytes, **properties: Any) -> None:
        await asyncio.gather(
            *(
                self.channel.basic_publish(
                    body,
                    routing_key=queue,
                    properties=aiormq.spec.Basic.Properties(delivery_mode=2, **properties),
                )
                for body in bodies
            )
        )

    async def get(self, queue: str) -> Any:
        """The next message of a queue; its body is empty and its header bare when there is none."""
        return await self.channel.basic_get(queue, no_ack=True)

    async def waiting(self, queue: str) -> int:
        """Messages that are ready in a queue."""
        return int((await self.channel.queue_declare(queue, passive=True)).message_count)

    async def exists(self, queue: str) -> bool:
        channel = await self.connection.channel()
        try:
            await channel.queue_declare(queue, passive=True)
        except aiormq.exceptions.ChannelNotFoundEntity:
            return False
        await channel.close()
        return True

    async def clean_up(self) -> None:
        """Also after a restart of the broker, in which the connection was lost."""
        async with asyncio.timeout(20):
            if self.connection.is_closed or self.channel.is_closed:
                await self.connection.close()
                self.connection = await aiormq.connect(self._url)
                self.channel = await self.connection.channel()
            for queue in self._queues:
                with suppress(aiormq.AMQPError):
                    await self.channel.queue_delete(queue)
            for exchange in self._exchanges:
                with suppress(aiormq.AMQPError):
                    await self.channel.exchange_delete(exchange)
            await self.connection.close()
