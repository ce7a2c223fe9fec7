from tests.plugins.brokers.loops import bench, pytest_asyncio_loop_factories

__all__ = ["bench", "pytest_asyncio_loop_factories"]
