"""What the arithmetic instructions compute, as NumPy expressions over all threads of a program.

A template's `{a}`, `{b}`, `{c}` stand for operands in the type of the opcode's last part; results are kept as raw bits.
"""

from __future__ import annotations

import numpy as np

TYPES = {
    "u16": np.uint16, "s16": np.int16, "b16": np.uint16, "u32": np.uint32, "s32": np.int32, "b32": np.uint32,
    "u64": np.uint64, "s64": np.int64, "b64": np.uint64, "f32": np.float32, "f64": np.float64, "f16": np.float16,
    "b8": np.uint8, "u8": np.uint8, "pred": np.bool_,
}  # fmt: skip
COMPARE = {
    "eq": "{a} == {b}", "ne": "{a} != {b}", "lt": "{a} < {b}", "le": "{a} <= {b}",
    "gt": "{a} > {b}", "ge": "{a} >= {b}",
    "neu": "~({a} == {b})", "num": "~(np.isnan({a}) | np.isnan({b}))", "nan": "np.isnan({a}) | np.isnan({b})",
    "equ": "({a} == {b}) | np.isnan({a}) | np.isnan({b})", "ltu": "~({a} >= {b})", "leu": "~({a} > {b})",
    "gtu": "~({a} <= {b})", "geu": "~({a} < {b})",
}  # fmt: skip
BINARY = {
    "add": "{a} + {b}", "sub": "{a} - {b}", "mul": "{a} * {b}", "mul.lo": "{a} * {b}", "and": "{a} & {b}",
    "or": "{a} | {b}", "xor": "{a} ^ {b}", "add.rn": "{a} + {b}", "sub.rn": "{a} - {b}", "mul.rn": "{a} * {b}",
    "div.rn": "{a} / {b}", "div.full": "{a} / {b}", "div.approx": "{a} / {b}", "not": "~{a}", "neg": "-{a}",
    "abs": "np.abs({a})", "sqrt.rn": "np.sqrt({a})", "mad.lo": "{a} * {b} + {c}", "shl": "shift_left({a}, {b})",
    "shr": "shift_right({a}, {b})", "div": "quotient({a}, {b})", "rem": "{a} - quotient({a}, {b}) * {b}",
    "fma.rn": "fused({a}, {b}, {c})", "ex2.approx.ftz": "exp2({a})", "min": "np.minimum({a}, {b})",
    "max": "np.maximum({a}, {b})", "popc": "np.bitwise_count({a}).astype(np.uint32)", "bfe": "field({a}, {b}, {c})",
    "prmt": "permuted({a}, {b}, {c})",
}  # fmt: skip
FLOAT_COMPARE = {"ne": "({a} < {b}) | ({a} > {b})"}  # ordered: false for NaN
WIDER = {"s16": "s32", "u16": "u32", "s32": "s64", "u32": "u64"}
FLOAT = {"min": "np.fmin({a}, {b})", "max": "np.fmax({a}, {b})"}


def shift_left(x, amount):
    bits = 8 * x.itemsize
    amount = np.asarray(amount).astype(np.uint64)
    return np.where(amount < bits, x << np.minimum(amount, bits - 1).astype(x.dtype), 0).astype(x.dtype)


def shift_right(x, amount):
    """Arithmetic for signed types; past the width only signs are left."""
    bits = 8 * x.itemsize
    amount = np.asarray(amount).astype(np.uint64)
    shifted = x >> np.minimum(amount, bits - 1).astype(x.dtype)
    return shifted if x.dtype.kind == "i" else np.where(amount < bits, shifted, 0).astype(x.dtype)


def quotient(a, b):
    """Towards zero."""
    return (np.sign(a) * np.sign(b) * (np.abs(a) // np.maximum(np.abs(b), 1))).astype(a.dtype)


def fused(a, b, c):
    """One rounding (two where float64 itself rounds: rarely, and then by half a unit of float32 at most)."""
    return (a.astype(np.float64) * b + c).astype(np.float32)


def exp2(x):
    return np.exp2(x.astype(np.float64)).astype(np.float32)


def field(x, start, length):
    """`bfe`: `length` bits from `start` on, sign-extended for signed types."""
    down = 32 - np.asarray(length).astype(x.dtype)
    return (x << (down - np.asarray(start).astype(x.dtype))) >> down


def permuted(a, b, selector):
    """`prmt`: four bytes of the eight in (a, b), by a digit of the selector each; from 8 on, that byte's sign."""
    source = np.asarray(a).astype(np.uint64) | np.asarray(b).astype(np.uint64) << np.uint64(32)
    out = np.zeros(np.broadcast(source, selector).shape, np.uint32)
    for place in range(4):
        digit = np.asarray(selector).astype(np.uint64) >> np.uint64(4 * place) & np.uint64(15)
        byte = source >> (digit & np.uint64(7)) * np.uint64(8) & np.uint64(255)
        byte = np.where(digit < 8, byte, np.where(byte < 128, 0, 255))
        out |= byte.astype(np.uint32) << np.uint32(8 * place)
    return out


def ballot(x):
    """`vote.sync.ballot`: a bit per lane of a warp, the same for all its lanes."""
    bits = x.reshape(-1, 32).astype(np.uint32) << np.arange(32, dtype=np.uint32)
    return np.repeat(bits.sum(axis=1, dtype=np.uint32), 32)


def truncated(x):
    """`cvt.rzi.s32.f32`, saturating; NaN is 0."""
    whole = np.trunc(np.nan_to_num(x.astype(np.float64), nan=0.0, posinf=2.0**31, neginf=-(2.0**31)))
    return np.clip(whole, -(2**31), 2**31 - 1).astype(np.int32)


def to_bf16(x):
    """Nearest, ties to even."""
    raw = x.view(np.uint32).astype(np.uint64)
    rounded = ((raw + 0x7FFF + (raw >> 16 & 1)) >> 16).astype(np.uint16)
    return np.where(np.isnan(x), np.uint16(0x7FFF), rounded)


def from_bf16(x):
    return (x.astype(np.uint32) << 16).view(np.float32)
