"""Sessions as SQL: what the events that share a `$session_id` tell together. A session is never stored."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from sqlglot import exp

from ....domain.errors import InvalidQuery
from ._columns import NOTHING, column_of, json_pointer

_ENTRY_PROPERTIES = {
    "current_url": "$current_url", "pathname": "$pathname", "hostname": "$host",
    "referring_domain": "$referring_domain", "utm_source": "utm_source", "utm_medium": "utm_medium",
    "utm_campaign": "utm_campaign", "utm_term": "utm_term", "utm_content": "utm_content", "gclid": "gclid",
}  # fmt: skip
_PROPERTIES = tuple(_ENTRY_PROPERTIES.values())


def sessions(columns: Mapping[str, str]) -> exp.Select:
    """Return a SELECT of one row per session over `events`: `session_id`, `first`, `last` and the known fields.

    `columns` are those that hold properties. Only what is asked for is computed: DuckDB drops aggregates that nobody
    reads. PERF: it takes 18 ms to build, a copy 1.5; what is returned is everybody's.
    """
    return _sessions(columns.get("$session_id", NOTHING), tuple(_text(key, columns) for key in _PROPERTIES))


@lru_cache(maxsize=8)
def _sessions(session_id: str, texts: tuple[str, ...]) -> exp.Select:
    aggregates = _aggregates(dict(zip(_PROPERTIES, texts, strict=True)))
    return exp.select(
        exp.alias_(exp.column(session_id), "session_id"),
        *(exp.alias_(expression, exp.to_identifier(name, quoted=True)) for name, expression in aggregates.items()),
    ).from_("events").where(f"{session_id} IS NOT NULL").group_by(session_id)  # fmt: skip


def _text(name: str, columns: Mapping[str, str]) -> str:
    """Return SQL that gives the text of one of our own property names (never of user input) over `events`."""
    return column_of(name, columns) or f"json_extract_string(properties, '{json_pointer(name)}')"


def field_sql(name: str) -> exp.Expr:
    """Return the text of a session's field over the rows of `sessions`. Raises InvalidQuery for an unknown field."""
    if name not in FIELDS:
        raise InvalidQuery(f"A session has no field '{name}'.")
    return exp.cast(FIELDS[name].copy(), "VARCHAR")


def _sql(text: str) -> exp.Expr:
    found: exp.Expr = exp.maybe_parse(text, dialect="duckdb")
    return found


def _aggregates(texts: Mapping[str, str]) -> dict[str, exp.Expr]:
    first, last = "arg_min({0}, timestamp)", "arg_max({0}, timestamp)"
    pages = "CASE WHEN event IN ('$pageview', '$screen') OR {0} IS NOT NULL THEN {0} END"
    found = {
        "first": _sql("min(timestamp)"),
        "last": _sql("max(timestamp)"),
        "person_id": _sql("arg_min(person_id, timestamp)"),
        "distinct_id": _sql("arg_min(distinct_id, timestamp)"),
        "pageviews": _sql("count(*) FILTER (WHERE event = '$pageview')"),
        "autocaptures": _sql("count(*) FILTER (WHERE event = '$autocapture')"),
        "screens": _sql("count(*) FILTER (WHERE event = '$screen')"),
    }
    for name, key in _ENTRY_PROPERTIES.items():
        text = texts[key]
        found[f"entry_{name}"] = _sql(first.format(pages.format(text)))
        found[f"end_{name}"] = _sql(last.format(pages.format(text)))
    found["urls"] = _sql(f"count(DISTINCT {texts['$current_url']})")
    return found


_DURATION = "date_diff('second', first, last)"
_BOUNCE = f"(pageviews + screens <= 1 AND autocaptures = 0 AND {_DURATION} < 10)"
_SEARCH = r"(^|\.)(google|bing|duckduckgo|baidu|yandex|ecosia|brave|yahoo|naver|startpage|qwant)\."
_SOCIAL = (
    r"(^|\.)(facebook|instagram|twitter|x|t|linkedin|lnkd|reddit|pinterest|tiktok|youtube|threads|bsky|mastodon)"
    r"\.(com|co|in|net|app|social)$"
)
_PAID = """(lower(coalesce(entry_utm_medium, '')) IN ('cpc', 'cpm', 'cpv', 'cpa', 'ppc', 'retargeting', 'paid')
    OR entry_gclid IS NOT NULL)"""
_CHANNEL = f"""
CASE WHEN {_PAID} AND regexp_matches(coalesce(entry_referring_domain, entry_utm_source, ''), '{_SOCIAL}')
        THEN 'Paid Social'
    WHEN {_PAID} AND (regexp_matches(coalesce(entry_referring_domain, ''), '{_SEARCH}') OR entry_gclid IS NOT NULL
        OR lower(coalesce(entry_utm_source, '')) IN ('google', 'bing')) THEN 'Paid Search'
    WHEN {_PAID} THEN 'Paid Unknown'
    WHEN lower(coalesce(entry_utm_medium, '')) IN ('email', 'e-mail', 'newsletter')
        OR lower(coalesce(entry_utm_source, '')) IN ('email', 'newsletter') THEN 'Email'
    WHEN lower(coalesce(entry_utm_medium, '')) = 'affiliate' THEN 'Affiliate'
    WHEN lower(coalesce(entry_utm_medium, '')) IN ('social', 'social-media') THEN 'Organic Social'
    WHEN coalesce(entry_referring_domain, '$direct') IN ('$direct', '') AND entry_utm_source IS NULL
        AND entry_utm_medium IS NULL AND entry_utm_campaign IS NULL THEN 'Direct'
    WHEN regexp_matches(coalesce(entry_referring_domain, ''), '{_SEARCH}') THEN 'Organic Search'
    WHEN regexp_matches(coalesce(entry_referring_domain, ''), '{_SOCIAL}') THEN 'Organic Social'
    WHEN coalesce(entry_referring_domain, '$direct') NOT IN ('$direct', '') THEN 'Referral'
    ELSE 'Unknown' END
"""

FIELDS: dict[str, exp.Expr] = {
    "session_id": _sql("session_id"),
    "distinct_id": _sql("distinct_id"),
    "$start_timestamp": _sql("first"),
    "$end_timestamp": _sql("last"),
    "$session_duration": _sql(_DURATION),
    "duration": _sql(_DURATION),
    "$num_uniq_urls": _sql("urls"),
    "$pageview_count": _sql("pageviews"),
    "$autocapture_count": _sql("autocaptures"),
    "$screen_count": _sql("screens"),
    "$is_bounce": _sql(_BOUNCE),
    "$channel_type": _sql(_CHANNEL),
} | {
    f"${side}_{name}": exp.column(f"{side}_{name}") for side in ("entry", "end") for name in _ENTRY_PROPERTIES
}  # fmt: skip
FIELDS["$exit_current_url"], FIELDS["$exit_pathname"] = FIELDS["$end_current_url"], FIELDS["$end_pathname"]
"""Every field that a session has, over the rows of `sessions`."""
