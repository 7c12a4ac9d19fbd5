"""insightlog inside your own program: one folder, no services.

Run it with `python examples/embed.py [FOLDER]`; without a folder everything is gone when it ends.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta

import insightlog


def main(folder: str = ":memory:") -> None:
    """Capture a few events, keep an insight about them, change it, and look back."""
    with insightlog.open(folder) as log:
        project = log.create_project("Shop", timezone="Europe/Berlin")
        ines = log.create_user("ines@example.com", first_name="Ines")

        now = datetime.now(UTC)
        project.capture(
            {
                "event": "signed up",
                "distinct_id": f"customer-{n}",
                "timestamp": now - timedelta(days=n % 3),
                "properties": {"plan": "pro" if n % 4 == 0 else "free"},
            }
            for n in range(12)
        )

        insight = project.insights.create(
            name="Signups",
            query={
                "kind": "TrendsQuery",
                "series": [{"kind": "EventsNode", "event": "signed up"}],
                "breakdownFilter": {"breakdown": "plan"},
                "dateRange": {"date_from": "-2d"},
            },
            tags=["growth"],
            by=ines,
        )
        for series in project.query(insight.query)["results"]:
            print(f"{series['breakdown_value']:5} {series['data']}")

        before = log.position()
        project.insights.update(insight.id, name="Signups by plan", by=ines)
        then = log.as_of(f"position:{before}").project(project.id).insights.get(insight.id)
        print(f"now {project.insights.get(insight.id).name!r}, before {then.name!r}")

        for entry in reversed(project.activity().results):
            print(entry.email, entry.activity, [change["field"] for change in entry.changes or []])
        for record in log.replay():
            print(record.position, record.stream, record.event.type)


if __name__ == "__main__":
    main(*sys.argv[1:2])
