import pytest
import torch

from shirg_core import ViewLayout
from shirg_core.baselines import TopScore

LAYOUT = ViewLayout.single(1, 4)


def top(score, features, k=2, layout=LAYOUT, **inputs):
    return TopScore(k, score=score)(torch.as_tensor(features)[None], layout, **inputs).indices[0].tolist()


def test_variance():
    assert top("variance", [[1.0, 1.0], [0.0, 4.0], [9.0, 9.0], [2.0, 0.0]]) == [1, 3]


def test_magnitude():
    assert top("magnitude", [[1.0, 1.0], [0.0, 4.0], [9.0, 9.0], [2.0, 0.0]]) == [1, 2]


def test_gradient():
    # Differences along the row: 0, 2, 1.5, -1 (one-sided at the ends).
    assert top("gradient", [[0.0], [0.0], [4.0], [3.0]]) == [1, 2]


def test_attention_given_and_computed():
    # Directions of 0°, 20°, 40° and 180°: both neighbours look at the middle one.
    features = [[1.0, 0.0], [0.94, 0.342], [0.766, 0.643], [-1.0, 0.0]]
    assert top("attention", features, attention=torch.tensor([[0.1, 0.4, 0.1, 0.4]])) == [1, 3]
    assert top("attention", features, k=1) == [1]


def test_edge():
    assert top("edge", torch.zeros(4, 2), edges=torch.tensor([[3.0, 1.0, 2.0, 0.0]])) == [0, 2]


def test_relevance_is_that_of_the_best_text_token():
    features = [[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.6, 0.8]]
    text = torch.tensor([[[2.0, 0.0], [0.0, 3.0]]])
    assert top("relevance", features, text=text) == [0, 1]
    assert top("relevance", features, text=text, text_mask=torch.tensor([[True, False]])) == [0, 3]


def test_views_compete_on_their_own_scale():
    layout = ViewLayout.anyres(1, 1, 2)
    features = torch.tensor([1.0, 2, 3, 4, 1000, 2000, 3000, 4000])[:, None]
    assert top("magnitude", features, k=2, layout=layout) == [3, 7]


@pytest.mark.parametrize(("score", "needed"), [("edge", "`edges`"), ("relevance", "`text`")])
def test_missing_input(score, needed):
    with pytest.raises(ValueError, match=needed):
        top(score, torch.zeros(4, 2))


def test_unknown_score():
    with pytest.raises(ValueError, match=r"score must be one of variance, .*relevance, got 'entropy'"):
        TopScore(2, score="entropy")
