"""Small random backbones for the tests of the language side."""

from types import SimpleNamespace

import torch

from shirg_core.layout import ViewLayout
from shirg_lavida.language.backbone import Backbone, BackboneConfig
from shirg_lavida.prompt.prefix import Placement, Prefix
from shirg_lavida.sampling import sampler

MASK, EOS, VOCAB, WIDTH = 60, 61, 64, 32


def backbone(seed: int = 0, **changes: object) -> Backbone:
    """Two layers, 32 channels; logits spread widely enough that confidences differ."""
    shape = {"d_model": WIDTH, "n_heads": 4, "n_layers": 2, "mlp_hidden_size": 48, "vocab_size": VOCAB, **changes}
    model = Backbone(BackboneConfig(**shape)).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            scale = 1.0 if "wte" in name else 2.0 * parameter.shape[-1] ** -0.5
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.copy_(1 + 0.1 * noise if parameter.dim() == 1 else scale * noise)
    return model


def prefix(batch: int = 1, length: int = 20, seed: int = 0) -> torch.Tensor:
    """`[B, P, d]`."""
    return torch.randn(batch, length, WIDTH, generator=torch.Generator().manual_seed(seed))


def image_prefix(batch: int = 1) -> Prefix:
    """The same 20 entries, of which 2 … 17 are the tokens of an image of 4 × 4, one a row."""
    return Prefix(
        prefix(batch),
        visual_tokens=(16,) * batch,
        selections=(None,) * batch,
        layouts=(ViewLayout.single(4, 4),) * batch,
        owners=tuple(range(batch)),
        placements=(Placement(torch.arange(2, 18)),) * batch,
    )


def answer(batch: int = 1, length: int = 8, seed: int = 0) -> torch.Tensor:
    """`[B, L]`."""
    return torch.randint(0, VOCAB, (batch, length), generator=torch.Generator().manual_seed(seed))


def sample(*args, **options) -> SimpleNamespace:
    """The sampler's answers as a batch: ids and probabilities stacked, bytes added up, the rest of the first."""
    answers = sampler.sample(*args, **options)
    first = {name: getattr(answers[0], name) for name in ("nfe", "step_ms", "timings_ms")}
    stacked = {name: torch.stack([getattr(each, name) for each in answers]) for name in ("ids", "probabilities")}
    return SimpleNamespace(**first, **stacked, kv_bytes=sum(each.kv_bytes for each in answers))
