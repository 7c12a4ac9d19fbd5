"""Recorded questions about funnels, correlation, retention and paths, asked of the product.

The persons endpoints of 2023 are not served; their answers are put together here from an ActorsQuery.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from of_2023 import funnels as funnels_2023
from of_2023 import retention as retention_2023

from insightlog.adapters.storage.duckdb.store import DuckDBStore
from insightlog.application import actors, sequences
from insightlog.application.calculation import QueryContext, calculate
from insightlog.application.query_context import Run
from insightlog.application.query_nodes import parse_query
from insightlog.domain.queries import funnel_results, legacy_paths, legacy_results, legacy_retention, paths, retention
from insightlog.domain.queries.actors import shown
from insightlog.domain.queries.dates import format_instant
from insightlog.domain.queries.legacy import filters_to_query
from insightlog.domain.queries.legacy_correlation import correlation_to_query
from insightlog.domain.queries.legacy_sequence_actors import SEQUENCE_ACTORS, funnel_addresses
from insightlog.domain.queries.legacy_values import given

PERSONS = "/api/person/"
PAGE = 100


class Sequences:
    """Answers in the form of 2023."""

    def __init__(self, store: DuckDBStore) -> None:
        self._store = store
        self.request: dict[str, Any] = {}
        """The record of the question at hand."""

    def answers(self) -> dict[str, Any]:
        return {
            "funnel": self.funnel,
            "funnel_insight": self.funnel,
            "funnel_strict": lambda filters, context: self.funnel(filters | STRICT, context),
            "funnel_unordered": lambda filters, context: self.funnel(filters | UNORDERED, context),
            "funnel_trends": lambda filters, context: self.funnel(filters | {"funnel_viz_type": "trends"}, context),
            "funnel_trends_summary": self.summary,
            "funnel_time_to_convert": self.times,
            "funnel_actors": self.funnel_actors,
            "funnel_strict_actors": lambda filters, context: self.funnel_actors(filters | STRICT, context),
            "funnel_unordered_actors": lambda filters, context: self.funnel_actors(filters | UNORDERED, context),
            "funnel_trends_actors": lambda filters, context: self.funnel_actors(
                filters | {"funnel_viz_type": "trends"}, context
            ),
            "funnel_people_by_step": self.people_by_step,
            "retention": self.retention,
            "retention_actors": self.retention_actors,
            "retention_actors_in_period": self.retention_actors,
            "retention_people_by_period": self.people_by_period,
            "correlation": self.correlation,
            "correlation_actors": self.correlation_actors,
            "paths": self.paths,
            "paths_actors": self.paths_actors,
            "paths_validate_results": lambda query, _: [
                list(edge) for edge in sorted(paths.reachable(map(tuple, query["edges"])))
            ],
            "follow_url": self.follow,
        }

    def funnel(self, filters: dict[str, Any], context: QueryContext) -> Any:
        if filters.get("funnel_viz_type") == "time_to_convert":
            return self.times(filters, context)
        found, answers = self._funnel(filters, context)
        result = funnels_2023.labelled(funnels_2023.ordered(funnel_results.results(found, answers)))
        if isinstance(result, list):
            result = [_linked(one, filters) for one in result]
        if self.request.get("via") == "api" and legacy_results.wants_plain_values(filters):
            result = legacy_results.with_plain_values(result)
        return result

    def summary(self, filters: dict[str, Any], context: QueryContext) -> Any:
        return funnels_2023.summary(*self._funnel(filters | {"funnel_viz_type": "trends"}, context))

    def times(self, filters: dict[str, Any], context: QueryContext) -> Any:
        node = parse_query(filters_to_query(filters | {"insight": "FUNNELS", "funnel_viz_type": "time_to_convert"}))
        found, answers = sequences.answered_funnel(node, context, self._run())
        return funnels_2023.times(funnel_results.results(found, answers))

    def funnel_actors(self, filters: dict[str, Any], context: QueryContext) -> Any:
        return self.actors(SEQUENCE_ACTORS["funnel"](filters), filters, context, "funnel/")

    def people_by_step(self, filters: dict[str, Any], context: QueryContext) -> Any:
        result = self.funnel(filters, context)
        is_split = bool(result) and isinstance(result[0], list)
        found = []
        for steps in result if is_split else [result]:
            value = steps[0].get("breakdown_value")
            rows = []
            for place, step in enumerate(steps):
                asked = filters if value is None else filters | {"funnel_step_breakdown": value}
                took = self._distinct_ids(asked | {"funnel_step": place + 1}, context)
                dropped = self._distinct_ids(asked | {"funnel_step": -place - 1}, context) if place else []
                rows.append({"name": step["name"], "converted": took, "dropped": dropped})
            found.append({"breakdown_value": value, "steps": rows} if is_split else rows)
        return found if is_split else found[0]

    def follow(self, query: dict[str, Any], context: QueryContext) -> Any:
        url = urlsplit(query["url"])
        filters = {name: _decoded(value) for name, value in parse_qsl(url.query, keep_blank_values=True)}
        self.request = {"via": "api"}
        routes = {"funnel/": self.funnel_actors, "retention/": self.retention_actors, "path/": self.paths_actors,
                  "funnel/correlation/": self.correlation_actors}  # fmt: skip
        return routes[url.path.removeprefix(PERSONS)](filters, context)

    def retention(self, filters: dict[str, Any], context: QueryContext) -> Any:
        node = parse_query(_retention_query(filters))
        found, answers = sequences.answered_retention(node, context, self._run())
        rows = retention.results(found, answers)
        if found.is_split:
            return self._retention_by_value(rows, filters, context)
        rows = retention_2023.triangular(retention_2023.dated(rows, found))
        for place, row in enumerate(rows):
            row["people_url"] = _address("retention/", filters | {"selected_interval": place})
            for value in row["values"]:
                value["people_url"] = row["people_url"]
        return rows

    def _retention_by_value(self, rows: Any, filters: dict[str, Any], context: QueryContext) -> Any:
        """Return one row per breakdown value: who was seen in a column, whenever they entered."""
        found = []
        for value in dict.fromkeys(row["breakdown_value"] for row in rows):
            asked = filters | {"breakdown_values": [value]}
            self.request = {}
            seen = self.retention_actors(asked | {"selected_interval": 0, "limit": 10_000}, context)["actors"]
            columns = range(len(rows[0]["values"]))
            values = [
                {
                    "count": sum(one["appearances"][column] for one in seen),
                    "people": [],
                    "people_url": _address("retention/", asked | {"selected_interval": column}),
                }
                for column in columns
            ]
            own = {"values": values, "label": value, "breakdown_values": [value]}
            found.append(own | {"people_url": _address("retention/", asked)})
        return found

    def retention_actors(self, filters: dict[str, Any], context: QueryContext) -> Any:
        is_over_http, self.request = self.request.get("via") == "api", {"via": "api"}
        query = SEQUENCE_ACTORS["retention"](filters)
        if filters.get("breakdown_values"):
            answer = self._actors_by_value(query | {"breakdown": filters["breakdown_values"][0]}, filters, context)
        else:
            answer = self.actors(query, filters, context, "retention/")
        rows = [{"person": one, "appearances": one.pop("appearances")} for one in answer["results"][0]["people"]]
        if not is_over_http:
            return {"actors": rows, "total": len(rows)}
        return {"result": rows, "next": answer["next"], "missing_persons": answer["missing_persons"]}

    def _actors_by_value(self, query: dict[str, Any], filters: dict[str, Any], context: QueryContext) -> Any:
        """Return a page of who entered in any row, with the columns in which they were seen from any entry on."""
        retained = parse_query(query["source"])
        starts = sequences.answered_retention(retained, context, self._run())[0].starts
        people: dict[str, Any] = {}
        for row in range(len(starts)):
            found = self.actors(
                query | {"interval": row}, filters | {"limit": 10_000, "offset": 0}, context, "retention/"
            )
            for one in found["results"][0]["people"]:
                known = people.setdefault(one["id"], one)
                known["appearances"] = [
                    max(*pair) for pair in zip(known["appearances"], one["appearances"], strict=True)
                ]
        ordered = sorted(people.values(), key=lambda one: (-sum(one["appearances"]), one["id"]))
        limit, offset = int(filters.get("limit") or PAGE), int(filters.get("offset") or 0)
        page = ordered[offset : offset + limit]
        following = _address("retention/", filters | {"offset": offset + limit}) if ordered[offset + limit :] else None
        return {"results": [{"people": page, "count": len(page)}], "next": following, "missing_persons": 0}

    def correlation(self, filters: dict[str, Any], context: QueryContext) -> Any:
        query = correlation_to_query({name: _decoded(value) for name, value in filters.items()})
        found = calculate(query, context=context, store=self._store)["results"]
        rows = [row | {"event": row["event"]["event"]} for row in found["events"]]
        shown = [row | _correlation_addresses(row, filters) for row in found["events"]]
        if self.request.get("via") != "api":
            return {"events": shown, "skewed": found["skewed"], "raw_events": rows}
        result = {"events": shown, "skewed": found["skewed"]}
        return {"result": result, "is_cached": False, "last_refresh": format_instant(context.now)}

    def correlation_actors(self, filters: dict[str, Any], context: QueryContext) -> Any:
        query = SEQUENCE_ACTORS["funnel/correlation"](filters)
        return self.actors(query, filters, context, "funnel/correlation/", "funnel_correlation_person_")

    def paths(self, filters: dict[str, Any], context: QueryContext) -> Any:
        found, rows = sequences.answered_paths(parse_query(self._paths_query(filters)), context, self._run())
        # In 2023 edges that no path leads to stayed when edges were chosen by weight.
        is_weighed = found.plan.min_weight is not None or found.plan.max_weight is not None
        return paths.results(found, rows, only_reachable=not is_weighed)

    def paths_actors(self, filters: dict[str, Any], context: QueryContext) -> Any:
        return self.actors(SEQUENCE_ACTORS["path"](self._around_funnel(filters)), filters, context, "path/")

    def _paths_query(self, filters: dict[str, Any]) -> dict[str, Any]:
        return legacy_paths.with_defaults(filters_to_query(self._around_funnel(filters) | {"insight": "PATHS"}))

    def _around_funnel(self, filters: dict[str, Any]) -> dict[str, Any]:
        funnel = self.request.get("funnel_filter")
        return filters | {"funnel_filter": funnel, "funnel_paths": funnel.get("funnel_paths")} if funnel else filters

    def people_by_period(self, filters: dict[str, Any], context: QueryContext) -> Any:
        found = {}
        for place, row in enumerate(self.retention(filters, context)):
            self.request = {}
            asked = filters | {"selected_interval": place, "breakdown_values": row.get("breakdown_values")}
            people = self.retention_actors(asked, context)["actors"]
            found[row["label"]] = {
                str(column + 1): sorted(
                    name for one in people if one["appearances"][column] for name in one["person"]["distinct_ids"]
                )
                for column in range(len(row["values"]))
            }
        return found

    def _distinct_ids(self, filters: dict[str, Any], context: QueryContext) -> list[str]:
        self.request = {}
        people = self.funnel_actors(filters, context)["actors"]
        return sorted(name for person in people for name in person["distinct_ids"])

    def _funnel(self, filters: dict[str, Any], context: QueryContext) -> Any:
        node = parse_query(filters_to_query(filters | {"insight": "FUNNELS"}))
        return sequences.answered_funnel(node, context, self._run())

    def actors(
        self, source: dict[str, Any], filters: dict[str, Any], context: QueryContext, route: str, prefix: str = ""
    ) -> Any:
        limit, offset = (
            int(filters.get(f"{prefix}{name}") or filters.get(name) or default)
            for name, default in (("limit", PAGE), ("offset", 0))
        )
        node = parse_query({"kind": "ActorsQuery", "source": given(source)})
        run = self._run()
        found = actors.page_of(node.source, filters.get("search"), context, run, limit + 1, offset)
        page = found.actors[:limit]
        known = actors.profiles(page, found.group_type_index, context, run)
        people = [
            shown(known[one.actor], found.group_type_index)
            | {"matched_recordings": []}
            | {"value_at_data_point": one.more.get("event_count") if route == "trends/" else None}
            | one.more
            for one in page
            if one.actor in known
        ]
        if self.request.get("via") != "api":
            ids = [known[one.actor].uuid if one.actor in known else one.actor for one in page]
            return {"actors": people, "rows": [[one] for one in ids], "total": len(page)}
        page_after = {f"{prefix}offset": offset + limit}
        following = _address(route, filters | page_after) if len(found.actors) > limit else None
        return {
            "results": [{"people": people, "count": len(people)}],
            "next": following,
            "initial": _address(route, filters),
            "missing_persons": len(page) - len(people),
            "is_cached": False,
        }

    def _run(self) -> Run:
        return Run(self._store, 30)


STRICT = {"funnel_order_type": "strict"}
UNORDERED = {"funnel_order_type": "unordered"}


def _correlation_addresses(row: dict[str, Any], filters: dict[str, Any]) -> dict[str, str]:
    """Return where the persons of a row of a correlation are found."""
    name, *rest = row["event"]["event"].split("::", 2)
    asked = dict(filters)
    if filters.get("funnel_correlation_type") == "properties":
        asked["funnel_correlation_property_values"] = [{"key": name, "value": rest[0], "type": "person"}]
    else:
        leaves = [{"key": rest[0], "value": rest[1], "type": "event", "operator": "exact"}] if rest else []
        asked["funnel_correlation_person_entity"] = {"id": name, "type": "events", "properties": leaves}
    return {
        f"{side}_people_url": _address(
            "funnel/correlation/", asked | {"funnel_correlation_person_converted": side == "success"}
        )
        for side in ("success", "failure")
    }


def _retention_query(filters: dict[str, Any]) -> dict[str, Any]:
    return legacy_retention.with_defaults(filters_to_query(filters | {"insight": "RETENTION"}))


def _linked(steps: Any, filters: dict[str, Any]) -> Any:
    """Return step objects with the addresses of their persons."""
    if isinstance(steps, list):
        return [_linked(step, filters) for step in steps]
    return steps | funnel_addresses(steps, filters, PERSONS) if "action_id" in steps else steps


def _address(route: str, filters: dict[str, Any]) -> str:
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in filters.items()}
    return f"{PERSONS}{route}?{urlencode(texts)}"


def _decoded(value: Any) -> Any:
    """Return the value of a JSON text that is no plain text."""
    if isinstance(value, str) and (value[:1] in ("[", "{") or value in ("null", "true", "false")):
        return json.loads(value)
    return value
