"""Small odd calls on which the kernels are held against the reference, in the interpreter and on the PTX machine."""

import itertools

import torch

from shirg_core import View, ViewLayout, shirg_v2, shirg_v3, shirg_v4

from .kernel_parity import Case
from .strategies import DTYPES


def holes(h, w, seed, share=0.25):
    valid = torch.rand(h, w, generator=torch.Generator().manual_seed(seed)) > share
    valid[0, 0] = True
    return valid


def border(h, w, rows, cols):
    valid = torch.zeros(h, w, dtype=torch.bool)
    valid[rows : h - rows, cols : w - cols] = True
    return valid


LAYOUTS = [
    (ViewLayout.single(1, 1), 1),
    (ViewLayout.single(1, 13), 5),
    (ViewLayout.single(17, 1), 8),
    (ViewLayout.single(5, 7), 11),
    (ViewLayout.single(8, 8), 63),
    (ViewLayout.single(4, 9), 36),
    (ViewLayout.anyres(2, 2, 4), 30),
    (ViewLayout.anyres(1, 3, 3), 13),
    (ViewLayout(views=[View(6, 5, valid=holes(6, 5, 0)), View(3, 8)]), 25),
    (ViewLayout(views=[View(6, 6, valid=border(6, 6, 1, 0)), View(5, 4, valid=border(5, 4, 0, 1))]), 14),
    (ViewLayout(views=[View(3, 3, pinned=True), View(6, 7)]), 24),
    (ViewLayout(views=[View(2, 3, pinned=True, valid=holes(2, 3, 4)), View(5, 5, valid=holes(5, 5, 5, 0.1))]), 21),
    (ViewLayout(views=[View(2, 2, valid=border(2, 2, 1, 1)), View(4, 6), View(1, 9), View(7, 2)]), 22),
]
LARGER = [(ViewLayout.single(13, 15), 60), (ViewLayout(views=[View(11, 9, valid=holes(11, 9, 6)), View(9, 11)]), 50)]

BASIC = [
    Case(method, layout, k, dtype, kind, batch=1 + (place % 2), width=(24, 17, 64)[place % 3])
    for place, (layout, k) in enumerate(LAYOUTS)
    for dtype, method, kind in itertools.product(DTYPES, (shirg_v3, shirg_v2), ("normal", "duplicated"))
]
KNOBS = [
    (shirg_v3, {"coverage": "clusters"}),
    (shirg_v3, {"coverage": "none", "summary": "mean"}),
    (shirg_v3, {"attention_weight": 0.0, "coverage_share": 1.0}),
    (shirg_v3, {"magnitude_weight": 3000.0, "attention_weight": 700.0}),
    (shirg_v3, {"temperature": 0.01, "summary": "none"}),
    (shirg_v2, {"coverage": "cells"}),
    (shirg_v2, {"coverage": "none", "beta": 0.0}),
    (shirg_v2, {"alpha": 1.0, "coverage_share": 0.0}),
    (shirg_v2, {"alpha": 0.0, "summary": "none"}),
]
OPTIONS = [
    Case(method, *LAYOUTS[(3, 8, 10)[place % 3]], dtype, "normal", batch=2, knobs=knobs)
    for place, (method, knobs) in enumerate(KNOBS)
    for dtype in DTYPES
]
OTHERS = [
    *(Case(m, *LAYOUTS[3], torch.float32, kind) for m in (shirg_v3, shirg_v2) for kind in ("lattice", "constant")),
    *(Case(m, *LAYOUTS[6], dtype, "lattice", width=96) for m in (shirg_v3, shirg_v2) for dtype in DTYPES),
    *(Case(shirg_v3, *LAYOUTS[place], torch.float32, given_attention=True) for place in (3, 8)),
    *(Case(shirg_v2, *LAYOUTS[8], d, knobs={"summary": "attention"}, given_attention=True) for d in DTYPES),
    *(Case(m, *LAYOUTS[8], torch.float16, strided=True) for m in (shirg_v3, shirg_v2)),
    Case(shirg_v3, *LAYOUTS[5], torch.float64),
    *(Case(shirg_v3, *LAYOUTS[6], d, "lattice", knobs={"temperature": 0.005}) for d in DTYPES),
    *(Case(m, *larger, dtype, width=40) for m in (shirg_v3, shirg_v2) for larger in LARGER for dtype in DTYPES),
]
SHARED = [
    Case(shirg_v3, *(LAYOUTS + LARGER)[place], dtype, kind, width=width)
    for place, kind, width, dtypes in [
        (3, "channel+300", 64, DTYPES),
        (8, "channel+3000", 96, DTYPES),
        (6, "channels+1000", 70, DTYPES[1:]),
        (8, "direction+300", 64, DTYPES[1:]),
        (8, "blank+80", 64, DTYPES),
        (13, "blank+90", 40, DTYPES[1:]),
    ]
    for dtype in dtypes
]
V4_KNOBS = [
    {"coverage": "clusters"},
    {"coverage": "cells", "coverage_share": 0.5, "summary": "none"},
    {"edge_weight": 0.0, "radius": 0.5},
    {"gradient_weight": 0.0, "text_weight": 0.0},
    {"distinct_weight": 0.0, "text_weight": 9000.0},
]
V4 = [
    *(
        Case(shirg_v4, *layout, DTYPES[place % 3], ("normal", "duplicated", "lattice")[place // 3 % 3], 1 + place % 2)
        for place, layout in enumerate(LAYOUTS)
    ),
    *(Case(shirg_v4, *LAYOUTS[8], dtype, batch=2, knobs=knobs) for knobs in V4_KNOBS for dtype in DTYPES[:2]),
    *(Case(shirg_v4, *LAYOUTS[8], d, knobs={"summary": "attention"}, given_attention=True) for d in DTYPES),
    *(Case(shirg_v4, *larger, d, width=140, given_attention=True) for larger in LARGER for d in DTYPES[:2]),
    Case(shirg_v4, *LARGER[0], torch.float32, "constant"),
    Case(shirg_v4, *LAYOUTS[3], torch.float64, strided=True),
    Case(shirg_v4, *LAYOUTS[6], torch.float32, "channel+300", width=64),
    Case(shirg_v4, *LAYOUTS[8], torch.bfloat16, "blank+80", width=64),
]
CASES = BASIC + OPTIONS + OTHERS + SHARED + V4
