"""PTX instructions into Python functions, one per basic block, that compute all threads of a program at once.

`R` holds a `[threads]` array of raw bits per register, `P` is the program (`machine.Program`).
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable

import numpy as np

from . import arithmetic, matrix
from .arithmetic import BINARY, COMPARE, FLOAT, FLOAT_COMPARE, TYPES, WIDER
from .parse import Code, Instruction

SHARED_BASE = 1 << 16


class Translator:
    """Turns a kernel's blocks into functions."""

    def __init__(self, code: Code):
        self.code = code
        self.number = {name: i for i, name in enumerate(code.registers)}

    def functions(self) -> list[Callable]:
        """One `block(R, P) -> next block, or −1 at the end` per block."""
        scope = {"np": np, "matrix": matrix} | {k: v for k, v in vars(arithmetic).items() if callable(v)}
        text, number = [], itertools.count()
        for i, block in enumerate(self.code.blocks):
            text.append(f"def block_{i}(R, P):")
            for instruction in block:
                text.append(f"    P.at({next(number)})")
                text += ["    " + line for line in self.statements(instruction)]
            text.append(f"    return {i + 1 if i + 1 < len(self.code.blocks) else -1}")
        exec(compile("\n".join(text), "<ptx>", "exec"), scope)
        return [scope[f"block_{i}"] for i in range(len(self.code.blocks))]

    def value(self, operand: str, kind: str) -> str:
        """An operand's value as an expression of a type."""
        dtype = TYPES[kind]
        name = f"np.{np.dtype(dtype).name}"
        if operand in self.number:
            stored = TYPES[self.code.registers[operand]]
            register = f"R[{self.number[operand]}]"
            if stored is dtype:
                return register
            if np.dtype(stored).itemsize == np.dtype(dtype).itemsize:
                return f"{register}.view({name})"
            return f"{register}.astype(np.uint{8 * np.dtype(dtype).itemsize}).view({name})"
        if operand.startswith("%"):
            return f"P.special[{operand[1:]!r}]"
        if operand == "global_smem":
            return f"np.uint32({SHARED_BASE})"
        number = int(operand[2:], 16) if operand.startswith(("0f", "0d")) else int(operand.rstrip("U"), 0)
        if kind == "pred":
            return f"np.bool_({number != 0})"
        if kind == "f32":
            return f"np.uint32({number & 0xFFFFFFFF}).view(np.float32)"
        if kind == "f64":
            return f"np.uint64({number & 0xFFFFFFFFFFFFFFFF}).view(np.float64)"
        bits = 8 * np.dtype(dtype).itemsize
        number &= (1 << bits) - 1
        if np.dtype(dtype).kind == "i" and number >> (bits - 1):
            number -= 1 << bits
        return f"{name}({number})"

    def put(self, register: str, expression: str, guard: str | None = None) -> str:
        """An assignment of an expression's bits."""
        kind = self.code.registers[register]
        place = f"R[{self.number[register]}]"
        new = f"P.bits({expression}, np.{np.dtype(TYPES[kind]).name})"
        return f"{place} = {new}" if guard is None else f"{place} = np.where({guard}, {new}, {place})"

    def guard(self, i: Instruction) -> str | None:
        """Which threads an instruction is for; None = all."""
        return None if i.guard is None else ("~" if i.guard[0] else "") + self.value(i.guard[1], "pred")

    def statements(self, i: Instruction) -> list[str]:
        """Python for one instruction."""
        opcode, operands, guard = i.opcode, i.operands, self.guard(i)
        first = opcode.split(".")[0]
        special = getattr(self, f"_{first}", None)
        if special is not None:
            return special(i)
        if first == "fence":
            return []
        stem, _, kind = opcode.rpartition(".")
        if first == "setp":
            how = stem.split(".")[1]
            template = FLOAT_COMPARE.get(how, COMPARE[how]) if kind == "f32" else COMPARE[how]
            a, b = (self.value(o, kind) for o in operands[1:])
            return [self.put(operands[0], template.format(a=a, b=b), guard)]
        if first in ("mul", "mad") and ".wide" in opcode:
            wide = WIDER[kind]
            a, b = (f"{self.value(o, kind)}.astype(np.{np.dtype(TYPES[wide]).name})" for o in operands[1:3])
            c = f" + {self.value(operands[3], wide)}" if first == "mad" else ""
            return [self.put(operands[0], f"{a} * {b}{c}", guard)]
        template = FLOAT.get(stem, BINARY[stem]) if kind == "f32" else BINARY[stem]
        kinds = [kind, "u32", "u32"] if first in ("shl", "shr", "bfe") else [kind] * 3
        given = {n: self.value(o, k) for n, o, k in zip("abc", operands[1:], kinds, strict=False)}
        return [self.put(operands[0], template.format(**given), guard)]

    def _mov(self, i):
        opcode, operands, guard = i.opcode, i.operands, self.guard(i)
        kind = opcode.rpartition(".")[2]
        to, source = operands
        if to.startswith("{"):
            parts = _vector(to)
            width = 8 * np.dtype(TYPES[kind]).itemsize // len(parts)
            pieces = f"np.ascontiguousarray({self.value(source, kind)}).view(np.uint{width}).reshape(-1, {len(parts)})"
            taken = [(n, part) for n, part in enumerate(parts) if part != "_"]
            return [self.put(part, f"{pieces}[:, {n}].copy()", guard) for n, part in taken]
        if source.startswith("{"):
            parts = _vector(source)
            width = self.code.registers[parts[0]]
            pieces = ", ".join(f"P.full({self.value(part, width)})" for part in parts)
            name = np.dtype(TYPES[self.code.registers[to]]).name
            return [self.put(to, f"np.stack([{pieces}], axis=1).view(np.{name}).ravel()", guard)]
        return [self.put(to, self.value(source, kind), guard)]

    def _selp(self, i):
        opcode, operands, guard = i.opcode, i.operands, self.guard(i)
        kind = opcode.rpartition(".")[2]
        a, b, p = (self.value(o, k) for o, k in zip(operands[1:], (kind, kind, "pred"), strict=True))
        return [self.put(operands[0], f"np.where({p}, {a}, {b})", guard)]

    def _cvt(self, i):
        opcode, operands, guard = i.opcode, i.operands, self.guard(i)
        *how, to, source = opcode.split(".")[1:]
        to_float = how == ["rn"] and to[0] not in "su"
        if how and not to_float and opcode != "cvt.rzi.s32.f32":
            raise NotImplementedError(opcode)
        name = np.dtype(TYPES.get(to, np.uint32)).name
        if to == "bf16x2" or to == "f16x2":
            convert = "to_bf16({})" if to == "bf16x2" else "{}.astype(np.float16).view(np.uint16)"
            high, low = (f"{convert.format(self.value(o, 'f32'))}.astype(np.uint32)" for o in operands[1:])
            return [self.put(operands[0], f"({high} << np.uint32(16)) | {low}", guard)]
        if source == "bf16":
            expression = f"from_bf16({self.value(operands[1], 'b16')})"
        elif to == "bf16":
            expression = f"to_bf16({self.value(operands[1], 'f32')})"
        elif opcode == "cvt.rzi.s32.f32":
            expression = f"truncated({self.value(operands[1], 'f32')})"
        else:
            expression = f"{self.value(operands[1], source)}.astype(np.{name})"
        return [self.put(operands[0], expression, guard)]

    def _ld(self, i):
        opcode, operands, guard = i.opcode, i.operands, self.guard(i)
        kind = opcode.rpartition(".")[2]
        if ".param" in opcode:
            place = self.code.parameters.index(operands[1].strip("[]"))
            return [self.put(operands[0], f"P.parameter({place}, np.{np.dtype(TYPES[kind]).name})", guard)]
        parts = _vector(operands[0])
        name = np.dtype(TYPES[kind]).name
        old = ", ".join(f"R[{self.number[part]}]" for part in parts)
        call = f"P.load({_space(opcode)!r}, {self._address(operands[1], opcode)}, np.{name}, [{old}], {guard})"
        return [f"got = {call}", *(self.put(part, f"got[{n}]") for n, part in enumerate(parts))]

    def _st(self, i):
        opcode, operands, guard = i.opcode, i.operands, self.guard(i)
        kind = opcode.rpartition(".")[2]
        values = ", ".join(f"P.full({self.value(part, kind)})" for part in _vector(operands[1]))
        return [f"P.store({_space(opcode)!r}, {self._address(operands[0], opcode)}, [{values}], {guard})"]

    def _red(self, i):
        opcode, operands, guard = i.opcode, i.operands, self.guard(i)
        *_, operation, kind = opcode.split(".")
        combine = {"min": "np.minimum", "max": "np.maximum", "add": "np.add"}[operation]
        value = self.value(operands[1], kind)
        at = f"{_space(opcode)!r}, {self._address(operands[0], opcode)}"
        return [f"P.reduce({at}, P.full({value}), {combine}, {guard})"]

    def _atom(self, i):
        """Only where the result is not used, which depends on the order of arrival."""
        mentions = re.compile(re.escape(i.operands[0]) + r"(?!\d)")
        if sum(bool(mentions.search(o)) for each in self.code.instructions for o in each.operands) > 1:
            raise NotImplementedError(f"{i.opcode} whose result is used")
        return [*self._red(i._replace(operands=i.operands[1:])), self.put(i.operands[0], self.value("-1", "b32"))]

    def _redux(self, i):
        opcode, operands, guard = i.opcode, i.operands, self.guard(i)
        operation, kind = opcode.split(".")[2:]
        combine = {"min": "np.minimum", "max": "np.maximum", "add": "np.add"}[operation]
        name = np.dtype(TYPES[kind]).name
        value = self.value(operands[1], kind)
        folded = f"{combine}.reduce({value}.reshape(-1, 32), axis=1, dtype=np.{name})"
        return [self.put(operands[0], f"np.repeat({folded}, 32)", guard)]

    def _shfl(self, i):
        opcode, operands, guard = i.opcode, i.operands, self.guard(i)
        mode = opcode.split(".")[2]
        value, amount = self.value(operands[1], "b32"), self.value(operands[2], "u32")
        return [self.put(operands[0], f"P.shuffle({mode!r}, {value}, {amount}, {operands[3]})", guard)]

    def _vote(self, i):
        if not i.opcode.startswith("vote.sync.ballot"):
            raise NotImplementedError(i.opcode)
        value = self.value(i.operands[1], "pred")
        return [self.put(i.operands[0], f"ballot(P.full({value}))", self.guard(i))]

    def _bra(self, i):
        operands, guard = i.operands, self.guard(i)
        target = self.code.labels[operands[0]]
        return [f"return {target}"] if guard is None else [f"if P.uniform({guard}): return {target}"]

    def _ret(self, i):
        guard = self.guard(i)
        return ["return -1"] if guard is None else [f"if P.uniform({guard}): return -1"]

    def _bar(self, i):
        opcode, operands, guard = i.opcode, i.operands, self.guard(i)
        if opcode != "bar.sync" or operands != ("0",) or guard is not None:
            raise NotImplementedError(f"{opcode} {operands}")
        return ["P.barrier()"]

    def _cp(self, i):
        opcode, operands, guard = i.opcode, i.operands, self.guard(i)
        if opcode.endswith("commit_group"):
            return ["P.commit()"]
        if opcode.endswith("wait_group"):
            return [f"P.wait({int(operands[0], 0)})"]
        to, source, size, *present = operands
        to, source = self._address(to, "shared"), self._address(source, "global")
        present = f"P.full({self.value(present[0] if present else size, 'u32')})"
        return [f"P.copy_later({to}, {source}, {int(size, 0)}, {present}, {guard})"]

    def _ldmatrix(self, i):
        opcode, operands = i.opcode, i.operands
        parts = _vector(operands[0])
        address = self._address(operands[1], "shared")
        call = f"matrix.ldmatrix(P.shared, {address}, {len(parts)}, {'.trans' in opcode})"
        return [f"got = {call}", *(self.put(part, f"got[{n}]") for n, part in enumerate(parts))]

    def _stmatrix(self, i):
        opcode, operands = i.opcode, i.operands
        values = ", ".join(self.value(part, "b32") for part in _vector(operands[1]))
        return [f"matrix.stmatrix(P.shared, {self._address(operands[0], 'shared')}, [{values}], {'.trans' in opcode})"]

    def _mma(self, i):
        opcode, operands = i.opcode, i.operands
        kind = re.fullmatch(r"mma\.sync\.aligned\.m16n8k16\.row\.col\.f32\.(b?f16)\.\1\.f32", opcode)[1]
        a, b, c = (f"[{', '.join(self.value(r, 'b32') for r in _vector(o))}]" for o in operands[1:])
        parts = _vector(operands[0])
        call = f"matrix.mma_m16n8k16({kind!r}, {a}, {b}, {c})"
        return [f"got = {call}", *(self.put(part, f"got[{n}]") for n, part in enumerate(parts))]

    def _wgmma(self, i):
        if not i.opcode.startswith("wgmma.mma_async"):
            return []  # fences, commits and waits: products are taken at once here
        d, a, b, keep, *flags = i.operands
        parts = _vector(d)
        old = ", ".join(self.value(part, "b32") for part in parts)
        keep = f"P.full({self.value(keep, 'pred')})"
        a, b = self.value(a, "u64"), self.value(b, "u64")
        call = f"matrix.wgmma(P.shared, {i.opcode!r}, [{old}], {a}, {b}, {keep}, {tuple(flags)!r})"
        return [f"got = {call}", *(self.put(part, f"got[{n}]") for n, part in enumerate(parts))]

    def _address(self, operand: str, opcode: str) -> str:
        base, _, offset = operand.strip("[] ").replace(" ", "").partition("+")
        kind = "u32" if _space(opcode) == "shared" else "u64"
        at = f"P.full({self.value(base, kind)}).astype(np.uint64)"
        return at if offset in ("", "0") else f"{at} + np.uint64({int(offset, 0)} & 0xFFFFFFFFFFFFFFFF)"


def _space(opcode: str) -> str:
    return "shared" if "shared" in opcode else "global"


def _vector(operand: str) -> list[str]:
    return [part.strip() for part in operand.strip("{} ").split(",")]
