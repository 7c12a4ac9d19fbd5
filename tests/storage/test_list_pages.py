"""Pages of lists are cut from the same order, whatever way the rows are found."""

from __future__ import annotations

import pytest

import insightlog

TEXTS = ["weekly sales", "sales", "Sales by week", "sal", "about", "x sales", "salesman", "sales", "SALES"]


@pytest.fixture
def project():
    with insightlog.open() as log:
        made = log.create_project("One")
        other = log.create_project("Two")
        for n, name in enumerate(TEXTS * 3):
            tags = ["rare"] if n in {4, 20} else ["common"]
            made.insights.create(
                name=name, description="on sales" if n % 4 == 0 else "", tags=tags, favorited=n % 2 == 0
            )
            other.insights.create(name=name, tags=["rare", "common"])
        yield made


@pytest.mark.parametrize(
    "wanted",
    [
        {},
        {"search": "sales"},
        {"search": "sa"},
        {"search": "sales", "order": "-created_at"},
        {"search": "nothing like it"},
        {"tags": ("rare",)},
        {"tags": ("common",)},
        {"tags": ("common", "rare"), "search": "sales"},
        {"favorited": True},
        {"order": "name"},
    ],
    ids=str,
)
def test_pages_of_any_size_join_to_the_whole_list(project, wanted):
    whole = project.insights.list(**wanted, limit=1000)
    assert whole.count == len(whole.results)
    assert {one.project_id for one in whole.results} <= {project.id}
    for size in (1, 2, 5, 7):
        pages = [project.insights.list(**wanted, limit=size, offset=at) for at in range(0, whole.count + size, size)]
        assert [one.id for page in pages for one in page.results] == [one.id for one in whole.results]
        assert {page.count for page in pages} == {whole.count}


def test_search_ranks_the_whole_name_before_its_beginning_its_middle_and_other_texts(project):
    names = [one.name for one in project.insights.list(search="sales", limit=100).results]
    ranks = ["sales", "sales by week", "salesman", "weekly sales", "x sales", "about", "sal"]
    assert (
        sorted(
            {name.lower() for name in names}, key=lambda one: names.index(next(n for n in names if n.lower() == one))
        )
        == ranks
    )


def test_a_count_follows_every_write(project):
    assert project.insights.list(search="salesman").count == 3
    made = project.insights.create(name="a salesman")
    assert project.insights.list(search="salesman").count == 4
    project.insights.update(made.id, deleted=True)
    assert project.insights.list(search="salesman").count == 3
