"""PTX text into basic blocks of instructions: the part of the language that Triton's compiler emits."""

from __future__ import annotations

import re
from typing import NamedTuple

PARAMETER = re.compile(r"\.param\s+\.\w+\s.*?(\w+_param_\d+)")
DECLARED = re.compile(r"\.reg\s+\.(\w+)\s+%(\w+)<(\d+)>")
GUARD = re.compile(r"@(!?)(%\w+)\s+")


class Instruction(NamedTuple):
    """One instruction; `guard` is (negated, predicate register) or None."""

    opcode: str
    operands: tuple[str, ...]
    guard: tuple[bool, str] | None
    line: str  # of the kernel's source, "file:line"


class Code(NamedTuple):
    """A kernel: parameter names in order, types of its registers, its blocks, and the block each label opens."""

    parameters: tuple[str, ...]
    registers: dict[str, str]
    blocks: list[list[Instruction]]
    labels: dict[str, int]
    threads: int

    @property
    def instructions(self) -> list[Instruction]:
        """All of them, in the order of the text."""
        return [instruction for block in self.blocks for instruction in block]


def parse(text: str) -> Code:
    """The only kernel of a module."""
    threads = int(re.search(r"\.reqntid\s+(\d+)", text).group(1))
    parameters = tuple(PARAMETER.findall(text))
    body = text[text.index("{", text.index(".reqntid")) + 1 :]
    body = body[: body.index("\n}")]
    registers, blocks, labels, line = {}, [[]], {}, "?"
    for kind, prefix, count in DECLARED.findall(body):
        registers |= {f"%{prefix}{i}": kind for i in range(int(count))}
    for raw in body.splitlines():
        if ".loc" in raw:
            line = raw.split("//")[-1].strip() if "//" in raw else line
            continue
        for piece in _statements(raw.split("//")[0]):
            if piece.endswith(":"):
                blocks.append([])
                labels[piece[:-1]] = len(blocks) - 1
            elif not piece.startswith("."):
                instruction = _instruction(piece, line)
                blocks[-1].append(instruction)
                if instruction.opcode.startswith(("bra", "ret")):
                    blocks.append([])
    return Code(parameters, registers, blocks, labels, threads)


def _statements(text: str) -> list[str]:
    """Statements and labels of a line, without the braces that open and close inline assembly."""
    text = text.strip()
    if text in ("", "{", "}"):
        return []
    if re.fullmatch(r"[$\w]+:", text):
        return [text]
    return [piece.strip() for piece in text.split(";") if piece.strip() not in ("", "}")]


def _instruction(text: str, line: str) -> Instruction:
    guard = None
    if found := GUARD.match(text):
        guard, text = (found[1] == "!", found[2]), text[found.end() :]
    opcode, _, rest = text.partition(" ") if " " in text else (text, "", "")
    opcode, _, more = opcode.partition("\t")
    return Instruction(opcode.strip(), tuple(_operands(f"{more} {rest}")), guard, line)


def _operands(text: str) -> list[str]:
    """Split at commas that are in no braces or brackets."""
    pieces, depth = [""], 0
    for letter in text.strip():
        depth += (letter in "{[") - (letter in "}]")
        if letter == "," and depth == 0:
            pieces.append("")
        else:
            pieces[-1] += letter
    return [piece.strip() for piece in pieces if piece.strip()]
