"""What `impl="triton"` owes to the reference, checked the same way in the interpreter and on a GPU.

Given equal scores, indices are equal, exactly; given equal similarities, so are clusters. End to end, two backends may
differ only in tokens whose scores lie within 2⁻¹⁴ of each other.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from shirg_core import Selection, ViewLayout, shirg_v2, shirg_v3, shirg_v4
from shirg_core.coverage.clusters import regions_from_similarity
from shirg_core.coverage.grid_graph import grid_graph
from shirg_core.kernels.geometry import geometry
from shirg_core.kernels.numerics import unit_stride
from shirg_core.scores.statistics_kernel import token_statistics
from shirg_core.selection.assemble import find_regions, without_padding
from shirg_core.selection.choose import choose

from . import oracle
from .strategies import generator, make_features

NEAR = 2.0**-14
PRECISION = {torch.float64: 1e-5, torch.float32: 1e-5, torch.float16: 2e-3, torch.bfloat16: 1.6e-2}


@dataclass(frozen=True)
class Case:
    """One call."""

    method: type
    layout: ViewLayout
    k: int
    dtype: torch.dtype
    kind: str = "normal"
    batch: int = 1
    width: int = 24
    knobs: dict[str, object] = field(default_factory=dict)
    given_attention: bool = False
    strided: bool = False

    def __str__(self) -> str:
        knobs = "-".join(f"{name}={value}" for name, value in self.knobs.items())
        n, name = self.layout.n_tokens, self.method.__name__
        extra = "-given" * self.given_attention + "-strided" * self.strided + ("-" + knobs if knobs else "")
        dtype = str(self.dtype).removeprefix("torch.")
        return f"{name}-B{self.batch}-N{n}-D{self.width}-K{self.k}-{dtype}-{self.kind}{extra}"

    def inputs(self, device: torch.device, words: int = 5) -> tuple[Tensor, dict[str, Tensor]]:
        """Features, NaN in the padding, and everything else the method reads."""
        n, g = self.layout.n_tokens, generator(self.k + 1)
        x = make_features(self.kind, self.batch, n, self.width, self.k).to(self.dtype)
        x[:, ~self.layout.valid_mask()] = torch.nan
        if self.strided:
            x = torch.cat([x, x], dim=-1)[..., : self.width]
        more = {}
        if self.method is shirg_v4 or (self.method is shirg_v2 and self.knobs.get("alpha") != 1.0):
            mask = torch.rand(self.batch, words, generator=g) < 0.6
            mask[:, 0] = True
            text = torch.randn(self.batch, words, self.width, generator=g).to(self.dtype)
            if self.method is shirg_v4:  # a token that the text means: evidence of nothing would test nothing
                text[:, 0] = x[:, self.layout.valid_mask()][:, -1]
            more = {"text": text.masked_fill(~mask[..., None], torch.nan), "text_mask": mask}
        if self.method is not shirg_v3:
            more["edges"] = torch.rand(self.batch, n, generator=g).round(decimals=1)
        if self.given_attention:
            more["attention"] = torch.rand(self.batch, n, generator=g).round(decimals=1)
        return x.to(device), {name: value.to(device) for name, value in more.items()}


def check(case: Case, device: torch.device, *, truth: bool) -> None:
    """Run a case through both backends and compare; `truth`: also against the float64 oracle (slow)."""
    x, more = case.inputs(device)
    selector = case.method(case.k, **case.knobs)
    x.requires_grad_()
    ours = selector(x, case.layout, impl="triton", **more)
    reference = selector(x, case.layout, impl="reference", **more)
    _check_shapes(ours, reference, case)
    expected = _expected_regions(selector, x.detach(), case)
    assert torch.equal(ours.regions, expected)
    assert torch.equal(ours.indices, choose(ours.scores, ours.regions, case.layout, case.k))
    assert torch.equal(ours.kept, ours.gather(x))
    noise = _check_scores(ours, reference, case, x.detach(), more, truth)
    different = _check_choice(ours, reference, noise)
    assert different <= max(1, 0.01 * ours.indices.numel())
    _check_summary_and_gradient(ours, reference, x)


def _check_shapes(ours: Selection, reference: Selection, case: Case) -> None:
    for name in ("indices", "scores", "regions", "kept"):
        mine, theirs = getattr(ours, name), getattr(reference, name)
        assert (mine.shape, mine.dtype, mine.device) == (theirs.shape, theirs.dtype, theirs.device), name
    assert ours.scores.isfinite().all()
    assert (ours.indices.diff(dim=1) > 0).all()
    assert case.layout.valid_mask(ours.indices.device)[ours.indices].all()
    assert (ours.summary is None) == (reference.summary is None)


def _expected_regions(selector, x: Tensor, case: Case) -> Tensor:
    """The reference's regions; for clusters, from the similarities that the kernel measured."""
    layout, share = case.layout, selector.coverage_share
    if selector.coverage != "clusters":
        return find_regions(selector.coverage, x, layout, case.k, share)
    stats = token_statistics(unit_stride(x), geometry(layout, x.device), cosine=True)
    graph = grid_graph(layout, x.device)
    is_right = (graph.upper == graph.lower + 1) & (_widths(layout).to(x.device)[graph.lower] > 1)
    similarity = torch.where(is_right, stats.right[:, graph.lower], stats.below[:, graph.lower])
    return regions_from_similarity(similarity, graph, layout, case.k, share)


def _widths(layout: ViewLayout) -> Tensor:
    return torch.cat([torch.full((v.n_tokens,), v.w) for v in layout.views])


def _check_scores(ours: Selection, reference: Selection, case: Case, x: Tensor, more, truth: bool) -> float:
    """Error against float64 at most the reference's plus what rounding may do; returns that."""
    if case.method is shirg_v4:  # it stretches no noise: the contract holds as it stands
        assert (ours.scores - reference.scores).abs().max() <= NEAR
        return NEAR
    if not truth:
        return NEAR
    worst, x = 0.0, without_padding(x, case.layout)
    for b in range(case.batch):
        tokens = x[b].double().cpu().numpy()
        parts = _oracle_parts(case, tokens, {name: v[b].double().cpu().numpy() for name, v in more.items()})
        tolerance = oracle.score_tolerance(parts, case.layout)
        if tolerance == float("inf"):
            return tolerance
        exact = torch.from_numpy(oracle.total_score(parts, case.layout))
        mine, theirs = ((s.scores[b].double().cpu() - exact).abs().max() for s in (ours, reference))
        assert mine <= theirs + tolerance, f"image {b}: error {mine:.2e}, the reference's {theirs:.2e}"
        worst = max(worst, tolerance)
    return max(NEAR, 2 * worst)


def _oracle_parts(case: Case, tokens, inputs):
    selector = case.method(case.k, **case.knobs)
    if case.method is shirg_v3:
        weights = (selector.attention_weight, selector.magnitude_weight, selector.gradient_weight)
        received = inputs.get("attention")
        return oracle.v3_components(
            tokens, case.layout, weights=weights, temperature=selector.temperature, attention=received
        )
    words = {name: inputs.get(name) for name in ("text", "text_mask", "edges")}
    return oracle.v2_components(tokens, case.layout, alpha=selector.alpha, beta=selector.beta, **words)


def _check_choice(ours: Selection, reference: Selection, near: float) -> int:
    """Tokens that only one backend kept have scores within `near` of each other; returns how many there are."""
    if not torch.equal(ours.regions, reference.regions):
        return int((ours.mask & ~reference.mask).sum())
    different = 0
    for b in range(len(ours.indices)):
        only_ours, only_theirs = ours.mask[b] & ~reference.mask[b], reference.mask[b] & ~ours.mask[b]
        pairs = zip(reference.scores[b][only_ours].sort()[0], reference.scores[b][only_theirs].sort()[0], strict=True)
        assert all(abs(p - q) <= near for p, q in pairs)
        different += int(only_ours.sum())
    return different


def _check_summary_and_gradient(ours: Selection, reference: Selection, x: Tensor) -> None:
    if not torch.equal(ours.indices, reference.indices):
        return
    precision = PRECISION[x.dtype]
    close = {"rtol": precision, "atol": precision}
    if ours.summary is not None:
        torch.testing.assert_close(ours.summary, reference.summary, **close)
    weight = torch.randn(ours.tokens.shape, generator=generator(3)).to(x)
    mine, theirs = (torch.autograd.grad((s.tokens * weight).sum(), x)[0] for s in (ours, reference))
    torch.testing.assert_close(mine, theirs, **close)
