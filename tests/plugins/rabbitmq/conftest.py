from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiormq
import pytest

from tests.plugins.brokers.loops import bench, pytest_asyncio_loop_factories
from tests.services.rabbitmq import Rabbitmq

from .tools import Tools

__all__ = ["bench", "pytest_asyncio_loop_factories"]


@pytest.fixture
async def tools(rabbitmq: Rabbitmq) -> AsyncIterator[Tools]:
    """The broker as an administrator sees it."""
    async with asyncio.timeout(20):
        connection = await aiormq.connect(rabbitmq.url)
        channel = await connection.channel()
    tools = Tools(connection, channel, rabbitmq.url)
    yield tools
    await tools.clean_up()
