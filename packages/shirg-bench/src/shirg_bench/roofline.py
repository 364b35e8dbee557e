"""How fast a selection could be: the bytes it must move, the arithmetic it must do, and the time that this leaves.

    floor = max(bytes / bandwidth, FLOPs / rate)          achieved = floor / measured

Counted are the fewest: every input read once, every output written once, the cosines of every unordered pair of tokens
once. `launched_flops` counts what the kernels do instead: v3 forms the upper triangle of cosines twice, once for the
sums that its softmax divides by and once for what is divided.
"""

from __future__ import annotations

from dataclasses import dataclass

INDEX_BYTES, FLOAT_BYTES = 8, 4


@dataclass(frozen=True)
class Work:
    """What a computation cannot do without.

    Attributes:
        bytes: moved through device memory.
        flops: multiplications and additions.
        launched_flops: those that the kernels execute in tiles.
    """

    bytes: int
    flops: int
    launched_flops: int


@dataclass(frozen=True)
class Roof:
    """Measured ceilings of a machine: bytes/s copied (read plus written), FLOP/s of a large matrix product."""

    bandwidth: float
    flop_rate: float


@dataclass(frozen=True)
class Shape:
    """One call: B images of N tokens of D channels, K kept, M text tokens, and the bytes of one feature."""

    batch: int
    tokens: int
    width: int
    kept: int
    text: int = 0
    element_bytes: int = 2


def v3_work(shape: Shape) -> Work:
    """SHIRG-v3: attention among all tokens, statistics, selection, summary."""
    n = shape.tokens
    pairs = n * (n + 1) // 2
    return Work(
        bytes=shape.batch * (_io_bytes(shape)),
        flops=shape.batch * (2 * pairs * shape.width + _linear_flops(shape)),
        launched_flops=shape.batch * (4 * pairs * shape.width + _linear_flops(shape)),
    )


def v2_work(shape: Shape) -> Work:
    """SHIRG-v2: text relevance, statistics, clusters, selection, summary."""
    text_bytes = shape.text * shape.width * shape.element_bytes
    flops = shape.batch * (2 * shape.tokens * shape.text * shape.width + _linear_flops(shape))
    extra = text_bytes + shape.tokens * (FLOAT_BYTES + INDEX_BYTES)
    return Work(bytes=shape.batch * (_io_bytes(shape) + extra), flops=flops, launched_flops=flops)


def floor_us(work: Work, roof: Roof) -> float:
    """The least time, in microseconds, that the ceilings allow."""
    return 1e6 * max(work.bytes / roof.bandwidth, work.flops / roof.flop_rate)


def binding(work: Work, roof: Roof) -> str:
    """Which ceiling is the lower one: `memory` or `arithmetic`."""
    return "memory" if work.bytes / roof.bandwidth >= work.flops / roof.flop_rate else "arithmetic"


def _io_bytes(shape: Shape) -> int:
    """Features in; kept tokens, summary, indices and scores out."""
    features = (shape.tokens + shape.kept + 1) * shape.width * shape.element_bytes
    return features + shape.kept * INDEX_BYTES + shape.tokens * FLOAT_BYTES


def _linear_flops(shape: Shape) -> int:
    """Statistics of a token and its neighbours, and its share of the summary: about a dozen operations a channel."""
    return 12 * shape.tokens * shape.width
