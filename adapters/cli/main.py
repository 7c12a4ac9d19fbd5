"""The group of all commands."""

from __future__ import annotations

import click

from .admin import key, project, user
from .backups import backup, restore
from .events import demo, import_, query
from .history import history, rebuild, replay, verify
from .insight_imports import import_insights
from .organizations import access, organization, role
from .serving import serve


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="insightlog")
def main() -> None:
    """Product insights with a history that never forgets.

    One folder (--data) is the whole product: insights, product events, users, keys and everything that ever happened.
    """


for command in (
    serve,
    demo,
    import_,
    import_insights,
    query,
    project,
    user,
    key,
    organization,
    role,
    access,
    history,
    replay,
    rebuild,
    verify,
    backup,
    restore,
):
    main.add_command(command)
