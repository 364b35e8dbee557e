"""Matrix instructions of a warp (`mma.sync`, `ldmatrix`, `stmatrix`) and of four (`wgmma`), as PTX lays them out."""

from __future__ import annotations

import re

import numpy as np

EVERYONE = 2048  # no thread's number
LANE = np.arange(32)
ROW, PAIR = LANE // 4, LANE % 4 * 2


def floats(raw: np.ndarray, kind: str) -> np.ndarray:
    """16-bit patterns as float32."""
    if kind == "bf16":
        return (raw.astype(np.uint32) << 16).view(np.float32)
    return raw.view(np.float16).astype(np.float32)


def halves(register: np.ndarray) -> np.ndarray:
    """`[threads]` 32 bits → `[threads, 2]` 16 bits."""
    return np.ascontiguousarray(register).view(np.uint16).reshape(-1, 2)


def mma_m16n8k16(kind: str, a: list, b: list, c: list) -> list[np.ndarray]:
    """D = A·B + C for every warp; registers of 32 bits, `[threads]` each."""
    warps = len(a[0]) // 32
    left, right = np.empty((warps, 16, 16), np.uint16), np.empty((warps, 16, 8), np.uint16)
    out = np.empty((warps, 16, 8), np.float32)
    for i, register in enumerate(a):
        pair = halves(register).reshape(warps, 32, 2)
        for j in range(2):
            left[:, ROW + 8 * (i % 2), PAIR + 8 * (i // 2) + j] = pair[:, :, j]
    for i, register in enumerate(b):
        pair = halves(register).reshape(warps, 32, 2)
        for j in range(2):
            right[:, PAIR + 8 * i + j, ROW] = pair[:, :, j]
    for i, register in enumerate(c):
        out[:, ROW + 8 * (i // 2), PAIR + i % 2] = register.view(np.float32).reshape(warps, 32)
    out = out + floats(left, kind) @ floats(right, kind)
    return [out[:, ROW + 8 * (i // 2), PAIR + i % 2].ravel().view(np.uint32) for i in range(4)]


def ldmatrix(memory, address: np.ndarray, count: int, transposed: bool) -> list[np.ndarray]:
    """`count` 8×8 matrices of 16 bits, transposed or not; matrix i's rows begin where lanes 8i … 8i + 7 say."""
    rows, threads = _row_lanes(address, count)
    words = memory.load(rows, threads, np.uint16, 8).T.reshape(-1, count, 8, 8)
    matrices = words.transpose(0, 1, 3, 2) if transposed else words
    registers = []
    for i in range(count):
        pair = np.stack([matrices[:, i][:, ROW, PAIR + j] for j in range(2)], axis=-1)
        registers.append(pair.reshape(-1, 2).view(np.uint32).ravel())
    return registers


def stmatrix(memory, address: np.ndarray, registers: list[np.ndarray], transposed: bool) -> None:
    """The inverse of `ldmatrix`."""
    count = len(registers)
    rows, threads = _row_lanes(address, count)
    matrices = np.empty((len(address) // 32, count, 8, 8), np.uint16)
    for i, register in enumerate(registers):
        pair = halves(register).reshape(-1, 32, 2)
        for j in range(2):
            matrices[:, i][:, ROW, PAIR + j] = pair[:, :, j]
    if transposed:
        matrices = matrices.transpose(0, 1, 3, 2)
    memory.store(rows, threads, list(matrices.reshape(-1, 8).T))


def _row_lanes(address: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Addresses of 8·count rows per warp, and the threads that gave them."""
    threads = np.arange(len(address)).reshape(-1, 32)[:, : 8 * count].ravel()
    return address[threads], threads


def wgmma(memory, opcode: str, d: list, a: np.ndarray, b: np.ndarray, keep: np.ndarray, flags: tuple) -> list:
    """D = A·B (+ D where `keep`) of each group of 128 threads; A and B^T lie in shared memory, K innermost."""
    n, kind = re.search(r"m64n(\d+)k16\.f32\.(b?f16)\.\2", opcode).groups()
    if flags != ("1", "1", "0", "0"):
        raise NotImplementedError(f"{opcode} with {flags}: negated or transposed operands")
    results = []
    for group in range(len(a) // 128):
        first = group * 128
        left = floats(_tile(memory, int(a[first]), 64), kind)
        right = floats(_tile(memory, int(b[first]), int(n)), kind)
        results.append(left @ right.T)
    product = np.stack(results)  # [groups, 64, n]
    out = []
    for index, register in enumerate(d):
        row = np.arange(4)[:, None] * 16 + ROW + 8 * (index // 2 % 2)
        value = product[:, row, PAIR + 8 * (index // 4) + index % 2].reshape(-1)
        out.append((value + np.where(keep, register.view(np.float32), 0)).astype(np.float32).view(np.uint32))
    return out


def _tile(memory, descriptor: int, rows: int) -> np.ndarray:
    """`[rows, 16]` 16 bits each, by a shared-memory matrix descriptor; read by all threads, which none of them is."""
    start, stride = (descriptor & 0x3FFF) << 4, (descriptor >> 32 & 0x3FFF) << 4
    bits = {1: 3, 2: 2, 3: 1, 0: 0}[descriptor >> 62 & 3]  # swizzle of 128, 64, 32 bytes, or none
    if bits == 0 or descriptor >> 49 & 7:
        raise NotImplementedError(f"matrix descriptor {descriptor:#x}")
    row, part = np.arange(rows)[:, None], np.arange(2) * 16
    address = start + row // 8 * stride + row % 8 * (16 << bits) + part
    address ^= (address >> 7 & (1 << bits) - 1) << 4
    words = memory.load(address.ravel().astype(np.uint64), np.full(address.size, EVERYONE), np.uint16, 8)
    return words.T.reshape(rows, 16)
