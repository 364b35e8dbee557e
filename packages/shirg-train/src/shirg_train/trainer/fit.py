"""Whether samples can be learnt from together: each image serves the policy's budget, and the context holds them.

    prefix + answer ≤ context for the longest prefix and the longest answer of a step,
    because answers are padded to one length

The prefix is taken as long as it can get: with a newline after every line, whichever tokens are kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch

from shirg_core.budget import BudgetError
from shirg_core.layout import ViewLayout
from shirg_lavida.config import LavidaConfig
from shirg_lavida.prompt.join import Positions
from shirg_lavida.vision.reading_order import reading_order
from shirg_lavida.vision.views import plan_views
from shirg_train.data.samples import TrainingSample
from shirg_train.keep_ratio import Policy


@dataclass
class Fit:
    """What has been let in so far.

    Args:
        config: the model's.
        policy: how images become tokens.
        positions: see `shirg_lavida.vision.reading_order`.
        spare: places that every answer needs behind its last token.
        longest_prefix: places of the longest prefix so far.
        longest_answer: tokens of the longest answer so far.
    """

    config: LavidaConfig
    policy: Policy
    positions: Positions
    spare: int = 0
    longest_prefix: int = 0
    longest_answer: int = 0

    @property
    def room(self) -> int:
        """The longest that answers may be padded to."""
        return self.config.language.max_sequence_length - self.longest_prefix

    def refuse(self, sample: TrainingSample) -> str | None:
        """Let a sample in, or say why it cannot be; the kind of reason comes first, up to a colon."""
        try:
            prefix = max(self.longest_prefix, prefix_places(self.config, self.policy, self.positions, sample))
        except BudgetError as error:
            return f"budget: {error}"
        answer, limit = max(self.longest_answer, len(sample.answer_ids)), self.config.language.max_sequence_length
        if prefix + answer + self.spare > limit:
            return (
                f"context: the longest prefix takes up to {prefix} places and the longest answer {answer + self.spare},"
                f" but the model's context holds {limit}"
            )
        self.longest_prefix, self.longest_answer = prefix, answer
        return None


def prefix_places(config: LavidaConfig, policy: Policy, positions: Positions, sample: TrainingSample) -> int:
    """The most places that a sample's prefix can take.

    Raises:
        BudgetError: an image that the policy's budget cannot serve.
    """
    places = len(sample.prompt_ids) - len(sample.images)
    for image in sample.images:
        plan = plan_views(config, image.size, policy.views, selecting=policy.selector is not None)
        order = reading_order(plan, "row")
        kept = kept_count(policy, plan.layout)
        shown = order.span if positions == "original" else kept + len(order.newline_place)
        places += shown + (policy.selector is not None)
    return places


@lru_cache(maxsize=1024)
def kept_count(policy: Policy, layout: ViewLayout) -> int:
    """How many tokens of a layout are kept, at most; the summary is not counted.

    Raises:
        BudgetError: the budget is above what the layout has, or below what must be kept of it.
    """
    if policy.selector is None or policy.method.keeps == "image":
        return layout.n_selectable
    # Asked, not computed: each method knows best what it must keep, and that depends on the geometry alone.
    nothing = torch.zeros(1, layout.n_tokens, dtype=torch.float32)
    features, text = nothing[..., None].expand(-1, -1, 2), torch.ones(1, 1, 2, dtype=torch.float32)
    with torch.no_grad():
        chosen = policy.selector(features, layout, text=text, text_mask=None, edges=nothing, attention=nothing + 1)
    return chosen.kept.shape[1]
