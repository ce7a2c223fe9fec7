"""What clients may write differently from the description: words in any case, one value instead of a list."""

from __future__ import annotations

from typing import Any, Final

from litestar import Request
from litestar.exceptions import ClientException

from qalipsis.head.api.access import User

_WORDS: Final = frozenset({"sharingMode", "dataType", "operator", "aggregationOperation", "type"})
_LISTS: Final = frozenset(
    {
        *("filters", "dataComponents", "datas", "dataSeriesReferences"),
        *("campaignKeys", "campaignNamesPatterns", "scenarioNamesPatterns"),
    }
)


class DataRequest(Request[User, Any, Any]):
    """A request about data series or reports."""

    async def json(self) -> Any:
        return lenient(await super().json())


class PatchRequest(DataRequest):
    """One whose body may also be a list of changes, each of which changes something else."""

    async def json(self) -> Any:
        match await super().json():
            case [*changes] if all(isinstance(each, dict) for each in changes):
                return {name: value for each in changes for name, value in each.items()}
            case payload:
                return payload


def lenient(payload: Any) -> Any:
    """The payload as it is described, as far as it can be understood."""
    match payload:
        case dict():
            return {name: _lenient(name, value) for name, value in payload.items()}
        case list():
            return [lenient(each) for each in payload]
        case _:
            return payload


def _lenient(name: str, value: Any) -> Any:
    if name in _WORDS and isinstance(value, str):
        return value.strip().upper()
    if name in _LISTS and value is not None and not isinstance(value, list):
        value = [value]
    if name == "value":
        return _text(value)
    return lenient(value)


def _text(value: Any) -> Any:
    """The value of a filter, which may be a number, or a list of them."""
    if isinstance(value, list):
        return ",".join(str(_text(each)) for each in value)
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, (int, float)) else value


def split(words: list[str] | None, most: int, name: str) -> tuple[str, ...]:
    """Values given several times, or once with commas; raises ClientException beyond so many."""
    found = tuple(
        dict.fromkeys(part.strip() for text in words or () for part in text.split(",") if part.strip())
    )
    if len(found) > most:
        raise ClientException(f"at most {most} {name} are possible")
    return found
