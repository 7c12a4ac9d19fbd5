"""Cache keys: everything that can change the answer of a query, in one text (insights-api.md 4.4)."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import orjson
from attrs import frozen

from ..domain.errors import InvalidInput
from ..domain.queries.scope import Scope
from ..domain.queries.uses import used_by
from .definitions import test_account_filters
from .model import ProjectInfo

PRESENTATION = frozenset({"tags"})
KEY_VERSION = 5
"""Raise it when the same query gets another answer than before, so that kept results are not shown any more."""
MAX_REMEMBERED = 4_096
MAX_REMEMBERED_BYTES = 20_000
"""A longer query is read again each time."""


@frozen
class _Remembered:
    project: ProjectInfo
    scope: Scope
    key: str


class CacheKeys:
    """Gives keys; safe for threads.

    PERF: reading a query takes 60 us, a third of a GET of an insight; so the keys of queries asked last are remembered.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._remembered: OrderedDict[tuple[int, str, bytes], _Remembered] = OrderedDict()

    def of(self, project: ProjectInfo, query: Mapping[str, Any], scope: Scope, rights: str) -> str:
        """Return the key of a query's meaning, without presentation, for callers with these rights in the project.

        Raises `InvalidInput` for what is no JSON value.
        """
        try:
            text = orjson.dumps(query, option=orjson.OPT_NON_STR_KEYS)
        except TypeError as error:
            raise InvalidInput(f"A query is a JSON object: {error}", path="query") from error
        if len(text) > MAX_REMEMBERED_BYTES:
            return _key(project, query, scope, rights)
        name = (project.id, rights, text)
        with self._lock:
            found = self._remembered.get(name)
            if found is not None:
                self._remembered.move_to_end(name)
        if found is not None and found.project == project and (found.scope is scope or found.scope == scope):
            return found.key
        key = _key(project, query, scope, rights)
        with self._lock:
            self._remembered[name] = _Remembered(project, scope, key)
            while len(self._remembered) > MAX_REMEMBERED:
                self._remembered.popitem(last=False)
        return key


def _key(project: ProjectInfo, query: Mapping[str, Any], scope: Scope, rights: str) -> str:
    used = used_by(query, scope, test_account_filters(project))
    settings = (scope.aggregates_by_distinct_id, scope.compares_by_weeks, scope.base_currency)
    names = repr((scope.path_rules, settings, scope.persons_mode, used))
    meaning = _without_custom_names(_meaning(query))
    parts = [KEY_VERSION, meaning, project.id, project.timezone, project.week_start_day, rights, names]
    text = orjson.dumps(parts, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)
    return f"cache_{project.id}_{hashlib.md5(text, usedforsecurity=False).hexdigest()}"


def _meaning(value: Any) -> Any:
    if isinstance(value, Mapping):
        if value.get("kind") == "InsightVizNode" and isinstance(value.get("source"), Mapping):
            return _meaning(value["source"])
        left_out = PRESENTATION if "kind" in value else ()  # a value for a placeholder may be called `tags` too
        return {key: _meaning(one) for key, one in value.items() if key not in left_out}
    return [_meaning(one) for one in value] if isinstance(value, list | tuple) else value


def _without_custom_names(meaning: Any) -> Any:
    """Return the meaning of a query without what its series are called, which is put into the result on reading."""
    if not isinstance(meaning, dict) or not isinstance(meaning.get("series"), list):
        return meaning
    series = [
        {key: value for key, value in node.items() if key != "custom_name"} if isinstance(node, dict) else node
        for node in meaning["series"]
    ]
    return {**meaning, "series": series}
