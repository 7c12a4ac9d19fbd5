"""Formulas: what they mean, what they refuse, against Python's own arithmetic."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insightlog.domain.errors import InvalidQuery
from insightlog.domain.queries.formulas import evaluate, parse


def value(text, *numbers):
    (found,) = evaluate(parse(text, n_series=len(numbers), path="f"), [[number] for number in numbers])
    return found


@pytest.mark.parametrize(
    ("text", "numbers", "expected"),
    [
        ("A + B", [800, 400], 1200),
        ("a/b", [600, 200], 3),
        ("A/0", [5], 0),
        ("A/0 + 1", [5], 1),
        ("A % 0", [5], 0),
        ("0 ** -A", [1], 0),
        ("(0 - 8) ** 0.5", [1], 0),
        ("9 ** 9 ** 9", [1], 0),
        ("-2 ** 2", [1], -4),
        ("2 ** -1", [1], 0.5),
        ("2 ** 3 ** 2", [1], 512),
        ("- - A", [3], 3),
        ("+A - -B", [3, 4], 7),
        ("10 - 4 - 3", [0], 3),
        ("2 + 3 * 4", [0], 14),
        ("(2 + 3) * 4", [0], 20),
        ("7 % 4", [0], 3),
        (".5 * A", [4], 2),
        ("1. + A", [4], 5),
        (" ( A )\t", [4], 4),
    ],
)
def test_arithmetic(text, numbers, expected):
    assert value(text, *numbers) == expected


@pytest.mark.parametrize(
    "text",
    ["", "A +", "C", "AA", "A B", "(A", "A)", "A ^ B", "A // B", "1e3", "A = B", "__import__('os')", "A;B", "()", "1..2",
     "A & B", "é", "(" * 60 + "A" + ")" * 60, "-" * 60 + "A", "A" + "+1" * 500, "A**" * 60 + "1"],
)  # fmt: skip
def test_what_is_no_formula_is_refused_with_its_path(text):
    with pytest.raises(InvalidQuery) as refused:
        parse(text, n_series=2, path="query.trendsFilter.formula")
    assert refused.value.path == "query.trendsFilter.formula"


def test_points_are_computed_one_by_one():
    assert evaluate(parse("A / B", n_series=2, path="f"), [[600.0, 900.0, 0.0], [200.0, 450.0, 0.0]]) == [3, 2, 0]


EXPRESSIONS = st.recursive(
    st.sampled_from(["A", "B", "1", "2.5", "0"]),
    lambda inner: st.one_of(
        st.builds(lambda left, sign, right: f"{left} {sign} {right}", inner, st.sampled_from("+-*/%"), inner),
        st.builds(lambda sign, right: f"{sign}{right}", st.sampled_from("+-"), inner),
        st.builds(lambda inside: f"({inside})", inner),
    ),
    max_leaves=12,
)


@given(EXPRESSIONS, st.integers(-9, 9), st.integers(-9, 9))
def test_formulas_agree_with_python(text, first, second):
    try:
        expected = eval(text, {"__builtins__": {}}, {"A": float(first), "B": float(second)})
    except ZeroDivisionError:
        return
    assert value(text, first, second) == pytest.approx(expected)
