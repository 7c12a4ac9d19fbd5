"""Dashboards, access, sharing and members on a real folder: what is shown equals a model, a replay and a rebuild."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule
from tests.builders import FrozenClock
from tests.storage.test_library import folder_of

import insightlog
from insightlog.adapters.composition import log_store
from insightlog.adapters.storage.sqlite.upkeep import rebuild
from insightlog.adapters.verification import verify_folder
from insightlog.application.ports import InsightsWanted

LEVELS = st.sampled_from([None, "none", "viewer", "editor", "manager"])


class BoardsMachine(RuleBasedStateMachine):
    """Two users, one of them an owner; insights stand on dashboards and are shared."""

    insights = Bundle("insights")
    dashboards = Bundle("dashboards")

    @initialize()
    def make(self):
        self.clock = FrozenClock()
        self.log = insightlog.open(":memory:", clock=self.clock)
        self.project = self.log.create_project("One")
        self.ines = self.log.create_user("ines@example.com", level="owner")
        self.omar = self.log.create_user("omar@example.com")
        self.boards, self.placed, self.shared, self.rules, self.past = {}, {}, {}, {}, []
        self.members = {self.ines.id: "owner", self.omar.id: "member"}

    @rule(target=dashboards, name=st.sampled_from("ab"), pinned=st.booleans())
    def create_dashboard(self, name, pinned):
        made = self.project.dashboards.create(by=self.ines, name=name, pinned=pinned)
        self.boards[made.id] = {"name": name, "pinned": pinned, "deleted": False}
        return made.id

    @rule(target=insights)
    def create_insight(self):
        made = self.project.insights.create(by=self.ines, name="x").id
        self.placed[made], self.shared[made], self.rules[made] = set(), False, {}
        return made

    @rule(dashboard=dashboards, name=st.sampled_from("cd"), deleted=st.booleans())
    def edit_dashboard(self, dashboard, name, deleted):
        board = self.boards[dashboard]
        if board["deleted"] and deleted:
            try:
                self.project.dashboards.update(dashboard, deleted=True)
            except insightlog.NotFound:
                return
            raise AssertionError("a deleted dashboard was deleted")
        self.project.dashboards.update(dashboard, by=self.ines, name=name, deleted=deleted)
        board |= {"name": name, "deleted": deleted}

    @rule(insight=insights, wanted=st.sets(dashboards))
    def place(self, insight, wanted):
        """An insight is put on live dashboards only; from deleted ones it is taken off silently with them."""
        live = {one for one in wanted if not self.boards[one]["deleted"]}
        self.project.insights.update(insight, by=self.omar, dashboards=sorted(live))
        self.placed[insight] = live | {one for one in self.placed[insight] if self.boards[one]["deleted"]}

    @rule(insight=insights, enabled=st.booleans())
    def share(self, insight, enabled):
        configuration, _ = self.project.insights.share(insight, enabled=enabled, by=self.ines)
        assert configuration.state.enabled is enabled
        self.shared[insight] = enabled

    @rule(insight=insights)
    def rotate(self, insight):
        _, before = self.project.insights.sharing(insight)
        _, after = self.project.insights.rotate_share_token(insight, by=self.ines)
        assert before != after

    @rule(insight=insights, level=LEVELS, is_omar=st.booleans())
    def rule_access(self, insight, level, is_omar):
        member = self.omar.id if is_omar else None
        self.project.insights.set_access(insight, level, member=member, by=self.ines)
        if level is None:
            self.rules[insight].pop(member, None)
        else:
            self.rules[insight][member] = level

    @rule(level=st.sampled_from([None, "member", "admin"]))
    def change_membership(self, level):
        self.log.organizations.set_member(1, self.omar.id, level, self.ines)
        if level is None:
            self.members.pop(self.omar.id, None)
        else:
            self.members[self.omar.id] = level

    @rule()
    def rebuild_the_views(self):
        assert not any(rebuild(log_store(self.log)).values())

    @rule()
    def remember_this_moment(self):
        self.past.append((self.log.position(), self.shown(self.log)))

    @rule()
    def time_passes(self):
        self.clock.now += timedelta(minutes=7)

    @invariant()
    def what_is_shown_equals_the_model(self):
        live = {key: board for key, board in self.boards.items() if not board["deleted"]}
        assert self.shown(self.log) == {
            "dashboards": sorted(live, key=lambda key: (not live[key]["pinned"], live[key]["name"], key)),
            "insights": {
                key: (sorted(placed & live.keys()), self.shared[key], self.rules[key])
                for key, placed in self.placed.items()
            },
            "members": self.members,
        }

    @invariant()
    def an_insight_hidden_from_a_member_is_in_none_of_their_lists(self):
        level = self.members.get(self.omar.id)
        if level is None:
            with pytest.raises(insightlog.PermissionDenied):
                self.log.access.rights(self.omar.id, self.project.info)
            return
        rights = self.log.access.rights(self.omar.id, self.project.info)
        wanted = InsightsWanted(project_id=self.project.id, limit=1000, viewer=rights.viewer)
        listed = {one.id for one in self.log.insights_of(self.project.id, rights).find(wanted)}
        for insight, rules in self.rules.items():
            own = {rule for member, rule in rules.items() if member in {None, self.omar.id}}
            assert (insight in listed) is (level == "admin" or own != {"none"}), rules

    def teardown(self):
        for position, shown in self.past[-3:]:
            assert self.shown(self.log.as_of(f"position:{position}")) == shown
        report = verify_folder(folder_of(self.log), lambda *_: None)
        assert report.problems == []
        self.log.close()

    def shown(self, log):
        project = log.project(1)
        boards = [one.id for one in project.dashboards.list(limit=1000)]
        return {
            "dashboards": boards,
            "insights": {
                one.id: (
                    sorted(set(one.dashboards) & set(boards)),
                    bool(one.sharing and one.sharing.state.enabled),
                    {rule.subject[0]: rule.level for rule in one.access},
                )
                for one in project.insights.list(limit=1000)
            },
            "members": {one.user.id: one.level for one in log.organizations.members(1)},
        }


TestBoards = BoardsMachine.TestCase
TestBoards.settings = settings(max_examples=10, stateful_step_count=25, deadline=None)
