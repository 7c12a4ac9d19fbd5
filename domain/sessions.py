"""The fields that sessions have, with their types. How they come out of events is the engine's business."""

from __future__ import annotations

from collections.abc import Mapping

from .queries.scope import PropertyType

_PAGE_FIELDS = (
    "current_url", "pathname", "hostname", "referring_domain", "utm_source", "utm_medium", "utm_campaign", "utm_term",
    "utm_content", "gclid",
)  # fmt: skip
SESSION_FIELDS: Mapping[str, PropertyType] = {
    "session_id": "String",
    "distinct_id": "String",
    "$start_timestamp": "DateTime",
    "$end_timestamp": "DateTime",
    "$session_duration": "Duration",
    "duration": "Duration",
    "$num_uniq_urls": "Numeric",
    "$pageview_count": "Numeric",
    "$autocapture_count": "Numeric",
    "$screen_count": "Numeric",
    "$is_bounce": "Boolean",
    "$channel_type": "String",
    **{f"${side}_{name}": "String" for side in ("entry", "end") for name in _PAGE_FIELDS},
    "$exit_current_url": "String",
    "$exit_pathname": "String",
}
