"""How embedders call the library; checked by mypy, not run."""

from __future__ import annotations

from datetime import UTC, datetime

import insightlog
from insightlog import Insightlog, Project


def use() -> list[str]:
    log: Insightlog = insightlog.open("data", settings=insightlog.Settings(synchronous="NORMAL"))
    project: Project = log.create_project("Shop", timezone="UTC")
    user = log.create_user("ines@example.com")
    insight = project.insights.create(name="x", query={"kind": "TrendsQuery", "series": []}, by=user)
    n_new: int = project.capture([{"event": "e", "distinct_id": "d", "timestamp": datetime.now(UTC)}])
    answer = project.query({"kind": "TrendsQuery", "series": []}, refresh="blocking")
    names = [found.name or "" for found in project.insights.list(search="x", limit=n_new)]
    names.append(str(log.as_of(datetime.now(UTC)).project(1).insights.get("abc").name))
    names += [record.event.type for record in log.replay(after=0)]
    names += [entry.activity for entry in project.activity(insight=insight.id)]
    names.append(str(answer["results"]))
    action = project.actions.create(name="Joins", steps=[{"event": "e"}], by=user)
    cohort = project.cohorts.create(name="Panel", is_static=True, distinct_ids=["d"])
    names += [action.name or "", *(one.uuid for one in project.cohorts.persons(cohort.id))]
    n_members: int | None = project.cohorts.calculate(cohort.id).calculation.count
    names += [str(n_members), *(kind.name for kind in project.groups.types())]
    log.close()
    return names
