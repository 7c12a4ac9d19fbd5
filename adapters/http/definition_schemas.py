"""JSON Schemas of actions, cohorts and persons as they are shown and taken."""

from __future__ import annotations

from ...domain.action import MATCHINGS, MATCHINGS_OF_STEP, TEXTS_OF_STEP
from .operations import Schema
from .schemas import ANY, BOOLEAN, INTEGER, MOMENT, OBJECT, TEXT, accepted, array, nullable, one_of, ref, shape

_MATCHING = nullable(one_of(*MATCHINGS))
_STEP_FIELDS: dict[str, Schema] = {
    **dict.fromkeys(TEXTS_OF_STEP, nullable(TEXT)),
    **dict.fromkeys(MATCHINGS_OF_STEP, _MATCHING),
    "properties": array(OBJECT),
}
_LEVEL = nullable(one_of("none", "viewer", "editor", "manager"))

ACTION: Schema = shape(
    {
        "id": INTEGER, "name": nullable(TEXT), "description": TEXT, "tags": array(TEXT), "post_to_slack": BOOLEAN,
        "slack_message_format": TEXT, "steps": array(shape(_STEP_FIELDS)), "created_at": MOMENT,
        "created_by": nullable(ref("User")), "deleted": BOOLEAN, "is_calculating": BOOLEAN,
        "last_calculated_at": nullable(MOMENT), "team_id": INTEGER, "is_action": BOOLEAN,
        "bytecode_error": nullable(TEXT), "pinned_at": nullable(MOMENT), "creation_context": nullable(TEXT),
        "user_access_level": _LEVEL,
    }
)  # fmt: skip
ACTION_INPUT: Schema = accepted(
    {
        "name": nullable({"type": "string", "maxLength": 400}),
        "description": nullable(TEXT),
        "tags": array(TEXT),
        "post_to_slack": BOOLEAN,
        "slack_message_format": nullable(TEXT),
        "steps": array({"type": "object", "properties": {**_STEP_FIELDS, "properties": nullable(array(OBJECT))}}),
        "deleted": BOOLEAN,
    }
)
COHORT: Schema = shape(
    {
        "id": INTEGER, "name": nullable(TEXT), "description": TEXT, "groups": array(OBJECT),
        "filters": nullable(OBJECT), "query": nullable(OBJECT), "is_static": BOOLEAN,
        "cohort_type": one_of("static", "dynamic"),
        "deleted": BOOLEAN, "is_calculating": BOOLEAN, "count": nullable(INTEGER),
        "last_calculation": nullable(MOMENT), "errors_calculating": INTEGER, "last_error_message": nullable(TEXT),
        "created_at": MOMENT, "created_by": nullable(ref("User")), "experiment_set": array(INTEGER),
        "user_access_level": _LEVEL,
    }
)  # fmt: skip
COHORT_INPUT: Schema = accepted(
    {
        "name": nullable({"type": "string", "maxLength": 400}),
        "description": nullable(TEXT),
        "filters": nullable(OBJECT),
        "groups": nullable(array(OBJECT)),
        "is_static": BOOLEAN,
        "deleted": BOOLEAN,
    }
)
PERSON: Schema = shape(
    {
        "type": one_of("person"), "id": TEXT, "uuid": TEXT, "name": TEXT, "distinct_ids": array(TEXT),
        "properties": OBJECT, "is_identified": BOOLEAN, "created_at": nullable(MOMENT),
        "matched_recordings": array(), "value_at_data_point": ANY,
    }
)  # fmt: skip
"""A person in a list of persons (queries.md 10.2)."""
PERSONS_INPUT: Schema = accepted({"person_ids": array(TEXT), "distinct_ids": array(TEXT)})
PERSON_INPUT: Schema = {**accepted({"person_id": TEXT}), "required": ["person_id"]}
DONE: Schema = shape({"success": BOOLEAN})
