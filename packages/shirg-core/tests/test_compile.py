"""torch.compile: one graph per layout, no breaks, and the same choice as without it."""

import pytest
import torch
from torch.testing import assert_close

from shirg_core import View, ViewLayout, anyres_layout, shirg_v2, shirg_v3, shirg_v4
from shirg_core.baselines import Quadtree
from shirg_core.budget import BudgetError

from . import oracle
from .strategies import generator, make_features

METHODS = [shirg_v2, shirg_v3]
ONE_GRAPH = {
    "v2": shirg_v2,
    "v3": shirg_v3,
    "v4-quadtree": lambda k: shirg_v4(k, coverage="quadtree", coverage_share=0.5),
    "quadtree": Quadtree,
}
WIDTH = 16


def padded_and_pinned():
    padding = [[True, True, True, False]] * 3
    return ViewLayout(views=(View(2, 2, pinned=True), View(3, 4, valid=padding), View(3, 4), View(4, 3)))


LAYOUTS = {
    "single": lambda: ViewLayout.single(5, 6),
    "anyres": lambda: ViewLayout.anyres(1, 2, 4),
    "anyres_layout": lambda: anyres_layout((900, 600), side=4),
    "padded-pinned": padded_and_pinned,
}


@pytest.fixture(autouse=True)
def fresh_dynamo():
    """Compiled code is global to the process: start from none, leave none."""
    torch.compiler.reset()
    yield
    torch.compiler.reset()


def example(layout, seed, batch=2):
    return make_features("normal", batch, layout.n_tokens, WIDTH, seed), {
        "text": torch.randn(batch, 3, WIDTH, generator=generator(seed + 1)),
        "text_mask": torch.tensor([[True, True, False]] * batch),
        "edges": torch.rand(batch, layout.n_tokens, generator=generator(seed + 2)),
    }


class Counter:
    """A backend that runs graphs as they are and counts them."""

    def __init__(self):
        self.graphs = 0

    def __call__(self, graph, _inputs):
        self.graphs += 1
        return graph.forward


def check_same(compiled, plain):
    assert torch.equal(compiled.indices, plain.indices)
    assert torch.equal(compiled.regions, plain.regions)
    assert_close(compiled.scores, plain.scores, rtol=0, atol=0)
    assert_close(compiled.tokens, plain.tokens, rtol=0, atol=0)


@pytest.mark.parametrize("build", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("method", ONE_GRAPH.values(), ids=ONE_GRAPH)
def test_one_graph_for_all_images_of_a_layout_and_of_equal_ones(method, build):
    selector, layout, counter = method(13), build(), Counter()
    compiled = torch.compile(selector, fullgraph=True, backend=counter)
    for seed, where in enumerate((layout, layout, build(), build())):
        x, inputs = example(where, seed)
        check_same(compiled(x, where, **inputs), selector(x, where, **inputs))
    assert counter.graphs == 1


def test_v4_is_one_graph_with_padding_and_text():
    """A data-dependent shape would break the graph, and on a GPU wait for it."""
    layout = ViewLayout([View(6, 7, valid=[[x < 5 for x in range(7)] for _ in range(6)])])
    features = torch.randn(1, layout.n_tokens, 130, generator=generator(0))
    inputs = {
        "edges": torch.rand(1, layout.n_tokens, generator=generator(1)),
        "text": features[:, :3],
        "text_mask": torch.tensor([[True, False, True]]),
    }
    compiled = torch.compile(shirg_v4(9), fullgraph=True, backend="eager")
    check_same(compiled(features, layout, **inputs), shirg_v4(9)(features, layout, **inputs))


@pytest.mark.parametrize("method", METHODS)
def test_another_layout_gets_its_own_graph(method):
    """Same N, same shapes: only the geometry tells them apart."""
    selector, counter = method(6), Counter()
    compiled = torch.compile(selector, fullgraph=True, backend=counter)
    for layout in (ViewLayout.single(4, 6), ViewLayout.single(6, 4), ViewLayout.single(3, 8)):
        x, inputs = example(layout, 5)
        check_same(compiled(x, layout, **inputs), selector(x, layout, **inputs))


@pytest.mark.parametrize(("method", "budget"), [(shirg_v2, 13), (shirg_v3, 0.4)])
def test_other_sizes_and_batches_compile_too(method, budget):
    """From the second size on the compiler makes N and B symbols."""
    selector, small, large = method(budget), ViewLayout.single(4, 6), ViewLayout.single(5, 7)
    compiled = torch.compile(selector, fullgraph=True, backend=Counter())
    for batch, layout in [(2, small), (3, small), (1, large), (4, padded_and_pinned())]:
        x, inputs = example(layout, 5, batch)
        check_same(compiled(x, layout, **inputs), selector(x, layout, **inputs))


@pytest.mark.filterwarnings("ignore:Dynamo detected a call")  # of the frame that goes on without the compiler
def test_a_refused_budget_is_the_same_error_as_without_compilation():
    compiled = torch.compile(shirg_v3(40), backend=Counter())
    with pytest.raises(BudgetError, match="K=40 is larger than the 16 selectable tokens"):
        compiled(torch.randn(1, 16, 8), ViewLayout.single(4, 4))


@pytest.mark.parametrize("method", METHODS)
def test_the_layout_as_a_closure(method):
    """As a model would hold it: the layout is no argument of the compiled function."""
    layout, selector, counter = padded_and_pinned(), method(13), Counter()

    @torch.compile(fullgraph=True, backend=counter)
    def prefix(x, text, edges):
        selection = selector(x, layout, text=text, edges=edges)
        return selection.tokens, selection.gather(x), selection.mask

    for seed in range(2):
        x, inputs = example(layout, seed)
        tokens, gathered, mask = prefix(x, inputs["text"], inputs["edges"])
        plain = selector(x, layout, text=inputs["text"], edges=inputs["edges"])
        assert torch.equal(tokens, plain.tokens)
        assert torch.equal(gathered, plain.gather(x))
        assert torch.equal(mask, plain.mask)
    assert counter.graphs == 1


@pytest.mark.parametrize("method", METHODS)
def test_gradients_through_a_compiled_selector(method):
    layout, selector = padded_and_pinned(), method(13)
    grads = []
    for call in (torch.compile(selector, fullgraph=True, backend="aot_eager"), selector):
        x, inputs = example(layout, 1)
        x.requires_grad_()
        call(x, layout, **inputs).tokens.square().sum().backward()
        grads.append(x.grad)
    assert_close(*grads)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the compiler's own imports
@pytest.mark.parametrize("method", METHODS)
def test_inductor(method):
    """Generated code may round differently: scores within 2⁻¹⁴, and the choice exact given those scores.

    A small layout, because the C++ compiler's time grows with the number of Borůvka rounds.
    """
    layout = ViewLayout(views=(View(2, 4, valid=[[True] * 3 + [False]] * 2),))
    selector = method(4)
    compiled = torch.compile(selector, fullgraph=True)
    for seed in range(2):
        x, inputs = example(layout, seed, batch=1)
        fast, plain = compiled(x, layout, **inputs), selector(x, layout, **inputs)
        assert_close(fast.scores, plain.scores, rtol=0, atol=2.0**-14)
        assert torch.equal(fast.regions, plain.regions)
        expected = oracle.choose(fast.scores[0].tolist(), fast.regions[0].tolist(), layout, 4)
        assert fast.indices[0].tolist() == expected
        assert_close(fast.tokens[:, :4], fast.gather(x), rtol=0, atol=0)
