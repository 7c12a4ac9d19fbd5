"""Answers queries: refresh modes, the cache of results, and what HTTP and embedders both get back."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Literal, get_args

import orjson
from attrs import frozen

from ..domain.errors import InvalidInput
from .calculation import QueryContext, calculate
from .json_values import iso
from .model import ProjectInfo
from .ports import CaptureLog, Clock, ProductStore
from .query_nodes import parse_query

Refresh = Literal[
    "force_cache", "blocking", "async", "lazy_async", "async_except_on_cache_miss", "force_blocking", "force_async"
]
ALWAYS_CALCULATE = frozenset({"force_blocking", "force_async"})
AGES: Mapping[str | None, timedelta] = {
    "minute": timedelta(minutes=5),
    "hour": timedelta(hours=1),
    "day": timedelta(hours=6),
    "week": timedelta(days=1),
    "month": timedelta(days=1),
}
CLIENT_REFRESH_AFTER = timedelta(minutes=1)
MAX_CACHED_BYTES = 64 << 20
MAX_RESULT_BYTES = 4 << 20
"""A larger answer is given and forgotten."""
PRESENTATION = frozenset({"tags"})
DEADLINE_S = 30.0


def refresh_mode(value: Any, *, absent: Refresh = "force_cache") -> Refresh:
    """Return the mode that a request's `refresh` asks for; never an error (insights-api.md 4.1)."""
    if value is None:
        return absent
    if isinstance(value, bool):
        return "force_blocking" if value else absent
    text = str(value)
    if text in get_args(Refresh):
        return text  # type: ignore[return-value]
    return "force_blocking" if text.lower() in {"", "true", "1", "yes"} else absent


@frozen
class _Cached:
    body: bytes
    """JSON: what is handed out is always a copy."""
    last_refresh: datetime
    target_age: datetime | None
    ingested: int
    """The capture position that the result has seen; newer events make it stale."""


class Computing:
    """Calculates query nodes over one folder's product events and remembers the results."""

    def __init__(self, store: Callable[[], ProductStore], capture_log: CaptureLog, clock: Clock) -> None:
        self._store = store
        self._capture_log = capture_log
        self._clock = clock
        self._cache: OrderedDict[str, _Cached] = OrderedDict()
        self._cached_bytes = 0
        self._lock = threading.Lock()

    def answer(
        self, project: ProjectInfo, query: Any, refresh: Refresh = "blocking", *, is_saved: bool = False
    ) -> dict[str, Any]:
        """Return the response body of a query: `results` and the cache envelope (queries.md 2.1).

        With `force_cache` nothing is calculated: without a cached result only `cache_key` and `query_status` come
        back. A cached result is fresh until its age passes or events come in. The query of a saved insight may have
        unknown fields. Raises `InvalidQuery`, `UnsupportedQuery`, `QueryTooLarge`.
        """
        if not isinstance(query, Mapping):
            raise InvalidInput("A query is a JSON object with a kind.", path="query")
        key = cache_key(project, query)
        with self._lock:
            cached = self._cache.get(key)
        if refresh == "force_cache":
            return {"cache_key": key, "query_status": None} if cached is None else _body(cached, key, is_cached=True)
        now = self._clock()
        ingested = self._capture_log.position()
        fresh = (
            cached is not None
            and cached.ingested == ingested
            and (cached.target_age is None or now <= cached.target_age)
        )
        if cached is not None and fresh and refresh not in ALWAYS_CALCULATE:
            if not is_saved:
                parse_query(query)  # a saved query of the same key may have had unknown fields
            return _body(cached, key, is_cached=True)
        context = QueryContext(
            project_id=project.id, now=now, timezone=project.timezone, week_start_day=project.week_start_day
        )
        body = calculate(
            query, context=context, store=self._store(), deadline_s=DEADLINE_S, allows_extra_fields=is_saved
        )
        age = AGES.get(_interval(query))
        made = _Cached(orjson.dumps(body), now, now + age if age else None, ingested)
        self._remember(key, made)
        return _body(made, key, is_cached=False)

    def _remember(self, key: str, made: _Cached) -> None:
        with self._lock:
            old = self._cache.pop(key, None)
            self._cached_bytes -= len(old.body) if old else 0
            if len(made.body) > MAX_RESULT_BYTES:
                return
            self._cache[key] = made
            self._cached_bytes += len(made.body)
            while self._cached_bytes > MAX_CACHED_BYTES:
                self._cached_bytes -= len(self._cache.popitem(last=False)[1].body)


def cache_key(project: ProjectInfo, query: Mapping[str, Any]) -> str:
    """Return the cache key of a query: its meaning, without presentation, in this project (insights-api.md 4.4)."""
    parts = [_meaning(query), project.id, project.timezone, project.week_start_day]
    text = orjson.dumps(parts, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)
    return f"cache_{project.id}_{hashlib.md5(text, usedforsecurity=False).hexdigest()}"


def _meaning(value: Any) -> Any:
    if isinstance(value, Mapping):
        if value.get("kind") == "InsightVizNode" and isinstance(value.get("source"), Mapping):
            return _meaning(value["source"])
        return {key: _meaning(one) for key, one in value.items() if key not in PRESENTATION}
    return [_meaning(one) for one in value] if isinstance(value, list | tuple) else value


def _interval(query: Mapping[str, Any]) -> str | None:
    source = query.get("source")
    interval = (source if isinstance(source, Mapping) else query).get("interval", "day")
    return interval if isinstance(interval, str) else "day"


def _body(cached: _Cached, key: str, *, is_cached: bool) -> dict[str, Any]:
    return {
        **orjson.loads(cached.body),
        "cache_key": key,
        "is_cached": is_cached,
        "last_refresh": iso(cached.last_refresh),
        "cache_target_age": iso(cached.target_age),
        "next_allowed_client_refresh": iso(cached.last_refresh + CLIENT_REFRESH_AFTER),
        "query_status": None,
    }
