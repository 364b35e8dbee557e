import math

import pytest
import torch

from shirg_core import View, ViewLayout
from shirg_core.baselines import FarthestPoint


def at_angles(*degrees):
    angle = torch.tensor(degrees, dtype=torch.float32) * math.pi / 180
    return torch.stack([angle.cos(), angle.sin()], dim=1)[None]


@pytest.mark.parametrize(("k", "expected"), [(1, [4]), (2, [0, 4]), (3, [0, 3, 4]), (4, [0, 1, 3, 4])])
def test_order_on_a_circle(k, expected):
    # 180° is farthest from its neighbour; then the opposite 0°, then 90° between them, then 30°.
    features = at_angles(0, 30, 80, 90, 180)
    assert FarthestPoint(k)(features, ViewLayout.single(1, 5)).indices[0].tolist() == expected


def test_length_does_not_matter():
    features = at_angles(0, 30, 80, 90, 180) * torch.tensor([1.0, 50.0, 0.1, 3.0, 7.0])[:, None]
    assert FarthestPoint(3)(features, ViewLayout.single(1, 5)).indices[0].tolist() == [0, 3, 4]


def test_copies_come_last():
    features = at_angles(0, 0, 0, 90, 90, 180)
    assert FarthestPoint(3)(features, ViewLayout.single(2, 3)).indices[0].tolist() == [0, 3, 5]


def test_pinned_tokens_are_chosen_from_the_start():
    layout = ViewLayout(views=[View(1, 1, pinned=True), View(1, 3)])
    assert FarthestPoint(2)(at_angles(0, 10, 120, 200), layout).indices[0].tolist() == [0, 3]


def test_greedy_against_a_slow_version():
    features = torch.randn(1, 30, 5, generator=torch.Generator().manual_seed(1))
    unit = features[0].double() / features[0].double().norm(dim=1, keepdim=True)
    distance = (1 - unit @ unit.T).tolist()
    chosen = [max(range(30), key=lambda i: min(distance[i][j] for j in range(30) if j != i))]
    while len(chosen) < 12:
        rest = [i for i in range(30) if i not in chosen]
        chosen.append(max(rest, key=lambda i: min(distance[i][j] for j in chosen)))
    selection = FarthestPoint(12)(features, ViewLayout.single(5, 6))
    assert selection.indices[0].tolist() == sorted(chosen)
    assert selection.scores[0].argsort(descending=True)[:12].tolist() == chosen
