"""Elements as clients send them and as chains that say odd things."""

from __future__ import annotations

import pytest

from insightlog.domain.elements import chain_of, elements_of


@pytest.mark.parametrize("classes", [5, True, {"a": 1}, 2.5])
def test_classes_that_are_no_names_are_left_out(classes):
    assert chain_of([{"tag_name": "a", "classes": classes}]) == "a"


@pytest.mark.parametrize("text", ["²", "9" * 5_000, "-1", "x"])
def test_a_place_that_is_no_number_is_none(text):
    (element,) = elements_of(f'a:nth-child="{text}"nth-of-type="2"')
    assert (element["nth_child"], element["nth_of_type"]) == (None, 2)


def test_attributes_of_any_name_are_shown_but_for_those_with_a_field_of_their_own():
    chain = chain_of(
        [{"tag_name": "a", "href": "/x", "attr_id": "b", "nth_child": 1, "attributes": {"data-attr": "m"}}]
    )
    (element,) = elements_of(chain)
    assert (element["attributes"], element["href"], element["attr_id"]) == ({"data-attr": "m"}, "/x", "b")
