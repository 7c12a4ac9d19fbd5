"""Organisations, roles, and who may do what in a project. Works beside a running server too."""

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
    from ...application.model import Member, Organization, Role


@click.group()
def organization() -> None:
    """Make organisations and choose their members. There is always one, with id 1."""


@organization.command("create")
@click.argument("name")
@data_option
@json_option
@explained
def organization_create(name: str, data: Path, as_json: bool) -> None:
    """Make an organisation."""
    with opened(data, new=True) as log:
        made = _organization(log.organizations.create(name))
    if as_json:
        print_json(made)
    else:
        click.echo(f"Made organisation {made['id']} {made['name']!r}")


@organization.command("list")
@existing_data_option
@json_option
@explained
def organization_list(data: Path, as_json: bool) -> None:
    """List all organisations."""
    with opened(data) as log:
        print_rows([_organization(one) for one in log.organizations.all()], as_json=as_json, empty="")


@organization.command("members")
@organization_option
@existing_data_option
@json_option
@explained
def organization_members(organization: int, data: Path, as_json: bool) -> None:
    """List the members of an organisation."""
    with opened(data) as log:
        rows = [_member(one) for one in log.organizations.members(log.organizations.get(organization).id)]
        print_rows(rows, as_json=as_json, empty="There is no member yet.")


@organization.command("member", short_help="Put a user into an organisation, or take them out.")
@click.argument("email")
@click.argument("level", type=click.Choice([*LEVELS, "none"]))
@organization_option
@existing_data_option
@explained
def organization_member(email: str, level: str, organization: int, data: Path) -> None:
    """Make a user a member, admin or owner of an organisation; none takes them out of it."""
    with opened(data) as log:
        user = log.administration.user(email)
        log.organizations.set_member(organization, user.id, None if level == "none" else level)
    click.echo(f"{email} is {'no member' if level == 'none' else level} of organisation {organization}.")


@click.group()
def role() -> None:
    """Name groups of members, to give them rights together."""


@role.command("create")
@click.argument("name")
@click.option("--user", "emails", multiple=True, help="E-mail address of a member who has it; repeatable.")
@organization_option
@existing_data_option
@json_option
@explained
def role_create(name: str, emails: tuple[str, ...], organization: int, data: Path, as_json: bool) -> None:
    """Make a role."""
    with opened(data) as log:
        user_ids = [log.administration.user(email).id for email in emails]
        made = _role(log.organizations.create_role(organization, name, user_ids=user_ids))
    if as_json:
        print_json(made)
    else:
        click.echo(f"Made role {made['id']} {made['name']!r}")


@role.command("members")
@click.argument("role_id", type=int)
@click.option("--user", "emails", multiple=True, help="E-mail address of a member who has it; repeatable.")
@organization_option
@existing_data_option
@explained
def role_members(role_id: int, emails: tuple[str, ...], organization: int, data: Path) -> None:
    """Choose anew who has a role."""
    with opened(data) as log:
        user_ids = [log.administration.user(email).id for email in emails]
        changed = log.organizations.set_role_members(organization, role_id, user_ids)
    click.echo(f"Role {changed.name!r} has {len(changed.user_ids)} members.")


@role.command("list")
@organization_option
@existing_data_option
@json_option
@explained
def role_list(organization: int, data: Path, as_json: bool) -> None:
    """List the roles of an organisation."""
    with opened(data) as log:
        rows = [_role(one) for one in log.organizations.roles(log.organizations.get(organization).id)]
        print_rows(rows, as_json=as_json, empty="There is no role yet.")


@click.command(short_help="Say who may do what in a project.")
@click.argument("level")
@click.option("--project", type=int, default=1, show_default=True, help="Id of the project.")
@click.option(
    "--resource",
    type=click.Choice(["project", "insight"]),
    default="project",
    show_default=True,
    help="The project itself (none, member, admin), or all its insights (none, viewer, editor, manager).",
)
@click.option("--user", "email", help="E-mail address of the member whom it concerns; default: everyone.")
@click.option("--role", "role_id", type=int, help="Id of the role that it concerns.")
@existing_data_option
@explained
def access(level: str, project: int, resource: str, email: str | None, role_id: int | None, data: Path) -> None:
    """Say what everyone, a member or a role may do in a project.

    LEVEL none on a project for everyone makes it private; `default` takes a rule back. Levels of single insights are
    set over HTTP (insights/:id/access_controls) or by the library.
    """
    with opened(data) as log:
        member = None if email is None else log.administration.user(email).id
        wanted = None if level == "default" else level
        log.organizations.set_project_access(project, resource, wanted, member=member, role=role_id)
    whom = email or ("everyone" if role_id is None else f"role {role_id}")
    click.echo(f"{whom}: {level} on {resource} of project {project}.")


def _organization(one: Organization) -> dict[str, Any]:
    return {"id": one.id, "uuid": one.uuid, "name": one.name}


def _member(one: Member) -> dict[str, Any]:
    return {"user": one.user.id, "email": one.user.email, "level": one.level, "joined_at": iso(one.joined_at)}


def _role(one: Role) -> dict[str, Any]:
    return {"id": one.id, "name": one.name, "users": list(one.user_ids)}
