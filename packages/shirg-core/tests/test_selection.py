"""A `Selection` in hand: its images one by one, on another device, in a file, in a shell and in a notebook."""

import re
import subprocess
import sys

import pytest
import torch

from shirg_core import Selection, View, ViewLayout, get_selector, shirg_v3
from shirg_core.methods import METHODS

LAYOUT = ViewLayout([View(4, 6), View(3, 3, valid=[[True, True, False]] * 3)])


@pytest.fixture
def chosen():
    features = torch.randn(3, LAYOUT.n_tokens, 8, generator=torch.Generator().manual_seed(0), requires_grad=True)
    return shirg_v3(budget=10)(features, LAYOUT)


def tensors(selection):
    return {name: x for name, x in vars(selection).items() if isinstance(x, torch.Tensor)}


def same(one, other):
    return all(torch.equal(*pair) for pair in zip(tensors(one).values(), tensors(other).values(), strict=True))


def test_its_images_one_by_one(chosen):
    assert len(chosen) == 3
    parts = list(chosen)
    assert [len(part) for part in parts] == [1, 1, 1]
    assert torch.equal(torch.cat([part.tokens for part in parts]), chosen.tokens)
    assert same(chosen[-1], parts[2])
    assert torch.equal(chosen[1:].indices, chosen.indices[1:])
    assert chosen[0].layout is LAYOUT
    for b in (3, -4):
        with pytest.raises(IndexError, match=f"of 3 images, got index {b}"):
            chosen[b]


def test_moved_and_detached(chosen):
    moved = chosen.to("meta")
    assert {x.device.type for x in tensors(moved).values()} == {"meta"}
    assert len(tensors(moved)) == 5
    assert repr(moved) == "Selection(v3, 10 of 30 tokens, summary, 3 images)"
    assert chosen.kept.requires_grad
    assert not any(x.requires_grad for x in tensors(chosen.detach()).values())
    assert same(chosen.cpu(), chosen)
    assert moved.method == "v3"


def test_a_file_is_read_as_weights_only(chosen, tmp_path):
    torch.save(chosen.detach(), tmp_path / "chosen.pt")
    loaded = torch.load(tmp_path / "chosen.pt", weights_only=True)
    assert same(loaded, chosen)
    assert loaded.layout is LAYOUT
    fresh = "import sys, torch; from shirg_core import Selection; print(torch.load(sys.argv[1], weights_only=True))"
    command = [sys.executable, "-c", fresh, tmp_path / "chosen.pt"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert printed.strip() == repr(chosen)


@pytest.mark.parametrize("method", [m for m in METHODS.values() if m.selector_type], ids=lambda m: m.name)
def test_it_knows_what_chose_it(method):
    given = {"text": torch.randn(1, 3, 8), "edges": torch.rand(1, 30), "attention": torch.rand(1, 30)}
    layout = ViewLayout.single(5, 6)
    selector = get_selector(method.name, **method.accepted(budget=10))
    chosen = selector(torch.randn(1, 30, 8), layout, **given)
    assert (chosen.method, chosen.layout) == (method.name, layout)


def test_it_says_what_it_is_in_one_line(chosen):
    assert repr(chosen) == "Selection(v3, 10 of 30 tokens, 5 regions, summary, 3 images)"
    assert repr(chosen[0]) == "Selection(v3, 10 of 30 tokens, 5 regions, summary)"
    bare = Selection(chosen.indices[:1], chosen.scores[:1], torch.zeros(1, 33, dtype=torch.int64), chosen.kept[:1])
    assert repr(bare) == "Selection(10 of 33 tokens, 1 region)"
    assert bare._repr_html_().count("<svg") == 0
    with pytest.raises(ValueError, match="no layout"):
        bare.overlay("page.png")


def test_a_notebook_shows_where_the_tokens_are(chosen):
    one = chosen[0]
    shown = one._repr_html_()
    assert repr(one)[len("Selection(") : -1] in shown
    areas = [sum(map(int, re.findall(r"h(\d+)v", path))) for path in re.findall(r' d="([^"]*)"', shown)]
    kept = [int(part.sum()) for part in one.mask[0].split([24, 9])]
    assert areas == [24, kept[0], 6, kept[1]]
    assert "view of 3×3:" in shown
    many = shirg_v3(budget=10)(torch.randn(6, LAYOUT.n_tokens, 8), LAYOUT)._repr_html_()
    assert many.count("<svg") == 2 * 4
    assert "and 2 images more" in many


def test_a_layout_names_its_grids():
    assert repr(ViewLayout.anyres(2, 2, 27)) == "ViewLayout(5 × 27×27: 3645 tokens)"
    pinned = ViewLayout([View(2, 2, pinned=True), View(3, 4), View(3, 4)])
    assert repr(pinned) == "ViewLayout(2×2 + 2 × 3×4: 28 tokens, 4 pinned)"
    assert repr(LAYOUT) == "ViewLayout(4×6 + 3×3: 33 tokens, 30 selectable)"
