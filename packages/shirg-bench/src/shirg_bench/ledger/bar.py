"""The bar of a claim: comparisons of named numbers, joined by `and` or `or`, such as `v2_easy >= 0.97 * full_easy`.

Numbers count as the decimals they are written as: 0.95 ≥ 0.9 + 0.05, which binary fractions deny.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from fractions import Fraction
from itertools import pairwise
from typing import Any, TypeAlias

ARITHMETIC: Mapping[type[ast.operator], Callable[[Fraction, Fraction], Fraction]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
COMPARISONS: Mapping[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
Numbers: TypeAlias = Mapping[str, Fraction]


class BarError(ValueError):
    """A bar that is not made of comparisons of numbers."""


def bar_names(bar: str) -> set[str]:
    """Names of the numbers that a bar compares.

    Raises:
        BarError: it holds anything but names, decimals, `+ - * /`, `< <= > >=`, `and` and `or`.
    """
    _test(_parsed(bar))
    return {node.id for node in ast.walk(_parsed(bar)) if isinstance(node, ast.Name)}


def bar_met(bar: str, values: Mapping[str, float]) -> bool:
    """Whether the numbers meet a bar.

    Raises:
        BarError: see `bar_names`.
    """
    return _test(_parsed(bar))({name: Fraction(str(value)) for name, value in values.items()})


def _parsed(bar: str) -> ast.expr:
    try:
        return ast.parse(bar, mode="eval").body
    except (SyntaxError, ValueError) as error:
        raise BarError(f"not a comparison: {bar!r}: {error}") from error


def _test(node: ast.expr) -> Callable[[Numbers], bool]:
    if isinstance(node, ast.BoolOp):
        join, parts = all if isinstance(node.op, ast.And) else any, [_test(part) for part in node.values]
        return lambda numbers: join(part(numbers) for part in parts)
    if isinstance(node, ast.Compare) and all(type(op) in COMPARISONS for op in node.ops):
        sides = list(pairwise(_number(side) for side in (node.left, *node.comparators)))
        steps = [(COMPARISONS[type(op)], *pair) for op, pair in zip(node.ops, sides, strict=True)]
        return lambda numbers: all(compare(left(numbers), right(numbers)) for compare, left, right in steps)
    raise BarError(f"not a comparison of numbers: {ast.unparse(node)!r}")


def _number(node: ast.expr) -> Callable[[Numbers], Fraction]:
    if isinstance(node, ast.BinOp) and type(node.op) in ARITHMETIC:
        compute, left, right = ARITHMETIC[type(node.op)], _number(node.left), _number(node.right)
        return lambda numbers: compute(left(numbers), right(numbers))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        value = _number(node.operand)
        return lambda numbers: -value(numbers)
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        exact = Fraction(str(node.value))
        return lambda _: exact
    if isinstance(node, ast.Name):
        name = node.id
        return lambda numbers: numbers[name]
    raise BarError(f"not a number: {ast.unparse(node)!r}")
