"""Every event survives being written and read; nothing that is not a known event is ever loaded."""

from __future__ import annotations

from typing import Any

import attrs
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.builders import a_record

from insightlog.adapters.storage.codec import HASH_BYTES, ORIGIN, dumps, from_json, seal, to_json, unseal
from insightlog.domain.errors import CorruptLog
from insightlog.domain.events import EVENT_TYPES, Actor
from insightlog.domain.insight_events import InsightRenamed
from insightlog.domain.sharing import ShareState

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)  # fmt: skip


st.register_type_strategy(int, st.integers(-(2**63), 2**63 - 1))


def an_event(name):
    cls = EVENT_TYPES[name]
    attrs.resolve_types(cls)
    fields = {}
    for field in attrs.fields(cls):
        if field.type is Any:
            fields[field.name] = json_values
        elif field.type is ShareState:
            fields[field.name] = st.builds(
                ShareState, st.booleans(), json_values, st.booleans(), st.integers(0, 9), st.text("abc")
            )
        else:
            fields[field.name] = st.from_type(field.type)
    return st.builds(cls, **fields)


def test_the_registry_knows_the_events_by_stable_names():
    assert set(EVENT_TYPES) == {
        "InsightCreated", "InsightRenamed", "InsightDerivedNameChanged", "InsightDescribed", "InsightQueryChanged",
        "InsightTagsChanged", "InsightFavorited", "InsightUnfavorited", "InsightReordered", "InsightSaved",
        "InsightSoftDeleted", "InsightRestored", "InsightReverted", "InsightUpdated", "InsightViewed", "InsightShared",
        "InsightUnshared", "ProjectCreated", "UserCreated", "KeyCreated", "KeyRevoked",
        "InsightDashboardsChanged", "InsightShareTokenRotated", "InsightSharePasswordAdded",
        "InsightSharePasswordRemoved", "InsightShareLoginAttempted", "InsightAccessGranted", "InsightAccessRevoked",
        "DashboardCreated", "DashboardRenamed", "DashboardDescribed", "DashboardPinned", "DashboardFiltersChanged",
        "DashboardVariablesChanged", "DashboardTagsChanged", "DashboardRestricted", "DashboardCollaboratorAdded",
        "DashboardCollaboratorRemoved", "DashboardSoftDeleted", "DashboardRestored", "DashboardTextAdded",
        "DashboardTextChanged", "DashboardTextRemoved", "DashboardTileArranged", "OrganizationCreated",
        "DashboardShared", "DashboardUnshared", "DashboardShareTokenRotated", "DashboardSharePasswordAdded",
        "DashboardSharePasswordRemoved", "DashboardShareLoginAttempted",
        "PublicSharingChanged", "MembershipChanged", "RoleCreated", "RoleMembersChanged", "ProjectSettingsChanged",
        "ProjectAccessGranted", "ProjectAccessRevoked", "ActionCreated", "ActionRenamed", "ActionDescribed",
        "ActionTagsChanged", "ActionStepsChanged", "ActionAnnounced", "ActionAnnouncementChanged", "ActionSoftDeleted",
        "ActionRestored", "CohortCreated", "CohortRenamed", "CohortDescribed", "CohortCriteriaChanged",
        "CohortPersonsAdded", "CohortPersonsRemoved", "CohortSoftDeleted", "CohortRestored", "CohortCalculated",
        "CohortCalculationFailed", "InsightImported", "InsightPastImported", "InsightTileImported",
        "InsightPastViewed", "DashboardImported", "NameDefined",
    }  # fmt: skip


@pytest.mark.parametrize("name", sorted(EVENT_TYPES))
def test_encode_then_decode_is_identity(name):
    @given(an_event(name))
    def check(event):
        record = a_record(event)
        state, own = seal(record, ORIGIN)
        sealed = unseal(state, stream=record.stream, version=record.version, topic=name)
        assert (sealed.record, sealed.previous, sealed.hash) == (record, ORIGIN, own)
        assert from_json(orjson.loads(dumps(to_json(record)))) == record

    check()


@given(st.data())
def test_every_flipped_bit_is_noticed(data):
    record = a_record(InsightRenamed("Weekly signups"), by=Actor(3, 4))
    state, _ = seal(record, bytes(range(HASH_BYTES)))
    place = data.draw(st.integers(0, len(state) - 1))
    flipped = bytearray(state)
    flipped[place] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(CorruptLog):
        unseal(bytes(flipped), stream=record.stream, version=record.version, topic="InsightRenamed")


def test_an_event_under_another_stream_version_or_name_is_refused():
    state, _ = seal(a_record(InsightRenamed("x")), ORIGIN)
    for place in (
        {"stream": "insight:2", "version": 1, "topic": "InsightRenamed"},
        {"stream": "insight:1", "version": 2, "topic": "InsightRenamed"},
        {"stream": "insight:1", "version": 1, "topic": "InsightDescribed"},
    ):
        with pytest.raises(CorruptLog):
            unseal(state, **place)


def test_a_forged_name_never_becomes_an_import():
    forged = to_json(a_record(InsightRenamed("x"))) | {"type": "os:system", "data": {"command": "true"}}
    with pytest.raises(CorruptLog, match="unknown"):
        from_json(forged)
