"""Projects, users and keys. Works beside a running server too."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ...application.json_values import iso
from .options import (
    LEVELS,
    data_option,
    existing_data_option,
    explained,
    json_option,
    opened,
    organization_option,
    print_json,
    print_rows,
)

if TYPE_CHECKING:
    from ...application.library import Insightlog
    from ...application.model import Key, ProjectInfo, User


@click.group()
def project() -> None:
    """Make and list projects."""


@project.command("create")
@click.argument("name")
@click.option("--timezone", default="UTC", show_default=True, help="IANA name, as in Europe/Berlin.")
@organization_option
@data_option
@json_option
@explained
def project_create(name: str, timezone: str, organization: int, data: Path, as_json: bool) -> None:
    """Make a project with a capture token of its own."""
    with opened(data, new=True) as log:
        made = log.create_project(name, timezone=timezone, organization=organization)
        shown = _project(log, made.info)
    if as_json:
        print_json(shown)
    else:
        click.echo(f"Made project {shown['id']} {shown['name']!r}; capture token {shown['api_token']}")


@project.command("list")
@existing_data_option
@json_option
@explained
def project_list(data: Path, as_json: bool) -> None:
    """List all projects."""
    with opened(data) as log:
        print_rows([_project(log, one) for one in log.projects()], as_json=as_json, empty="There is no project yet.")


@click.group()
def user() -> None:
    """Make and list users."""


@user.command("create")
@click.argument("email")
@click.option("--first-name", default="", help="How to call them.")
@organization_option
@click.option("--level", type=click.Choice(LEVELS), default="member", show_default=True, help="What they may do there.")
@data_option
@json_option
@explained
def user_create(email: str, data: Path, as_json: bool, **fields: Any) -> None:
    """Make a user who may own keys."""
    with opened(data, new=True) as log:
        made = _user(log.create_user(email, **fields))
    if as_json:
        print_json(made)
    else:
        click.echo(f"Made user {made['id']} {made['email']}")


@user.command("list")
@existing_data_option
@json_option
@explained
def user_list(data: Path, as_json: bool) -> None:
    """List all users."""
    with opened(data) as log:
        print_rows([_user(one) for one in log.users()], as_json=as_json, empty="There is no user yet.")


@click.group()
def key() -> None:
    """Make, list and revoke personal API keys."""


@key.command("create")
@click.option("--user", "email", required=True, help="E-mail address of its owner.")
@click.option("--scope", "scopes", multiple=True, required=True, help="OBJECT:read, OBJECT:write or '*'; repeatable.")
@click.option("--project", "projects", type=int, multiple=True, help="Only this project; repeatable. Default: all.")
@click.option(
    "--organization", "organizations", type=int, multiple=True, help="Only this organisation; repeatable. Default: all."
)
@click.option("--label", default="", help="What it is for.")
@data_option
@json_option
@explained
def key_create(email: str, as_json: bool, data: Path, **options: Any) -> None:
    """Make a key. Its value is printed this once and kept nowhere."""
    with opened(data) as log:
        made = log.create_key(email, **options)
    if as_json:
        print_json({"key": made.value, **_key(made.key)})
    else:
        click.echo(f"Made key {made.key.id} with scopes {', '.join(made.key.scopes)}. Its value, shown only now:")
        click.echo(made.value)


@key.command("list")
@existing_data_option
@json_option
@explained
def key_list(data: Path, as_json: bool) -> None:
    """List all keys without their values, revoked ones too."""
    with opened(data) as log:
        print_rows([_key(one) for one in log.all_keys()], as_json=as_json, empty="There is no key yet.")


@key.command("revoke")
@click.argument("key_id", type=int)
@existing_data_option
@json_option
@explained
def key_revoke(key_id: int, data: Path, as_json: bool) -> None:
    """Close a key for good."""
    with opened(data) as log:
        revoked = _key(log.revoke_key(key_id))
    if as_json:
        print_json(revoked)
    else:
        click.echo(f"Key {key_id} opens nothing any more.")


def _project(log: Insightlog, one: ProjectInfo) -> dict[str, Any]:
    token = log.administration.project_token(one.id)
    return {"id": one.id, "name": one.name, "api_token": token, "timezone": one.timezone}


def _user(one: User) -> dict[str, Any]:
    return {"id": one.id, "email": one.email, "first_name": one.first_name, "uuid": one.uuid}


def _key(one: Key) -> dict[str, Any]:
    return {
        "id": one.id,
        "user": one.user_id,
        "label": one.label,
        "mask_value": f"...{one.mask}",
        "scopes": list(one.scopes),
        "scoped_teams": list(one.project_ids),
        "scoped_organizations": list(one.organization_ids),
        "created_at": iso(one.created_at),
        "last_used_at": iso(one.last_used_at),
        "revoked_at": iso(one.revoked_at),
    }
