"""A minion's cookies: kept as a browser would, in as little memory as possible."""

from __future__ import annotations

import re
from calendar import timegm
from collections.abc import Iterable
from ipaddress import ip_address

from msgspec import Struct

from qalipsis.plugins.http.url import Target

MAX_COOKIES = 180
MAX_COOKIE_BYTES = 4096
NEVER = float("inf")

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DATE_DELIMITERS = re.compile(r"[\x09\x20-\x2f\x3b-\x40\x5b-\x60\x7b-\x7e]+")
_TIME = re.compile(r"(\d{1,2}):(\d{1,2}):(\d{1,2})(?!\d)")
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


class Cookie(Struct, gc=False):
    pair: bytes
    """`name=value` as it is sent."""
    name: bytes
    domain: str
    path: str
    is_host_only: bool
    is_secure: bool
    expires: float


class CookieJar:
    """The cookies of one minion, after RFC 6265, without a list of public suffixes.

    Times are epoch seconds. When there are more than fits, the oldest go.
    """

    __slots__ = ("_cookies",)

    def __init__(self) -> None:
        self._cookies: list[Cookie] = []

    def __len__(self) -> int:
        return len(self._cookies)

    def store(self, lines: Iterable[bytes], target: Target, path: str, now: float) -> None:
        """Keep what the Set-Cookie values `lines` say, received in answer to a request for `path`."""
        for line in lines:
            cookie = parse(line, target, path, now)
            if cookie is not None:
                self._put(cookie, now)

    def _put(self, cookie: Cookie, now: float) -> None:
        cookies = self._cookies
        for place, kept in enumerate(cookies):
            if kept.name == cookie.name and kept.domain == cookie.domain and kept.path == cookie.path:
                if cookie.expires > now:
                    cookies[place] = cookie  # its age is that of the one it replaces
                else:
                    del cookies[place]
                return
        if cookie.expires > now:
            if len(cookies) >= MAX_COOKIES:
                cookies[:] = [kept for kept in cookies if kept.expires > now][1 - MAX_COOKIES :]
            cookies.append(cookie)

    def header(self, target: Target, path: str, now: float) -> bytes | None:
        """The Cookie header for a request, the most specific paths first; None when it needs none."""
        host = target.host
        found = []
        is_sorted = True
        for cookie in self._cookies:
            if cookie.domain != host and (cookie.is_host_only or not host.endswith("." + cookie.domain)):
                continue
            if cookie.expires <= now or (cookie.is_secure and not target.is_tls):
                continue
            if cookie.path != "/":
                if not _is_below(path, cookie.path):
                    continue
                is_sorted = False
            found.append(cookie)
        if not found:
            return None
        if not is_sorted:
            found.sort(key=_path_length, reverse=True)  # stable: of the same length, the older one first
        return b"; ".join([cookie.pair for cookie in found])


def parse(line: bytes, target: Target, path: str, now: float) -> Cookie | None:
    """The cookie that one Set-Cookie value describes; None when it must be ignored."""
    first, *attributes = line.split(b";")
    name, separator, value = first.partition(b"=")
    name, value = name.strip(), value.strip()
    if not separator or not name or len(name) + len(value) > MAX_COOKIE_BYTES or _CONTROL.search(first):
        return None
    host = target.host
    domain, is_host_only = host, True
    cookie_path = default_path(path)
    is_secure = False
    expires: float = NEVER
    max_age: float | None = None
    for attribute in attributes:
        key, _, text = attribute.partition(b"=")
        key, text = key.strip().lower(), text.strip()
        if key == b"domain" and text:
            domain = text.decode("latin-1").lower().removeprefix(".")
            is_host_only = False
        elif key == b"path":
            cookie_path = text.decode("latin-1") if text.startswith(b"/") else default_path(path)
        elif key == b"secure":
            is_secure = True
        elif key == b"max-age" and re.fullmatch(rb"-?\d+", text):
            max_age = now + int(text[:12]) if text[:1] != b"-" else -NEVER
        elif key == b"expires":
            date = parse_date(text.decode("latin-1"))
            expires = expires if date is None else date
    if max_age is not None:
        expires = max_age
    if not is_host_only and domain != host and not _may_share(host, domain):
        return None
    if is_secure and not target.is_tls:
        return None
    return Cookie(name + b"=" + value, name, domain, cookie_path, is_host_only, is_secure, expires)


def parse_date(text: str) -> float | None:
    """Epoch seconds of a cookie's date, read as leniently as browsers do; None when it is none."""
    time = day = month = year = None
    for word in _DATE_DELIMITERS.split(text):
        lower = word.lower()
        if time is None and (found := _TIME.match(word)):
            time = tuple(int(part) for part in found.groups())
        elif day is None and re.match(r"\d{1,2}(?!\d)", word):
            day = int(re.match(r"\d+", word)[0])  # type: ignore[index]
        elif month is None and lower[:3] in _MONTHS:
            month = _MONTHS.index(lower[:3]) + 1
        elif year is None and re.match(r"\d{2,4}(?!\d)", word):
            year = int(re.match(r"\d+", word)[0])  # type: ignore[index]
    if time is None or day is None or month is None or year is None:
        return None
    if year < 100:
        year += 1900 if year >= 70 else 2000
    hour, minute, second = time
    if not (1 <= day <= 31 and year >= 1601 and hour <= 23 and minute <= 59 and second <= 59):
        return None
    return float(timegm((year, month, day, hour, minute, second, 0, 0, 0)))


def default_path(path: str) -> str:
    """The folder of the request's path, where a cookie without a path is valid."""
    return path.partition("?")[0].rpartition("/")[0] or "/"


def _is_below(path: str, folder: str) -> bool:
    path = path.partition("?")[0]
    if not path.startswith(folder):
        return False
    return len(path) == len(folder) or folder.endswith("/") or path[len(folder)] == "/"


def _path_length(cookie: Cookie) -> int:
    return len(cookie.path)


def _may_share(host: str, domain: str) -> bool:
    """True when the host may set cookies for the domain; a single label such as `com` is nobody's."""
    return host.endswith("." + domain) and "." in domain and not _is_address(host)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
