"""What a selector is given beside features and layout, and its validation: shapes always, values when asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

import torch
from torch import Tensor

from shirg_core.checks import check_choice
from shirg_core.layout import ViewLayout


class Inputs(TypedDict, total=False):
    """The keyword inputs of `Selector`, with its meanings, shapes and defaults."""

    text: Tensor | None
    text_mask: Tensor | None
    edges: Tensor | None
    attention: Tensor | None
    impl: str
    check_finite: bool


def check_inputs(
    features: Tensor,
    layout: ViewLayout,
    *,
    text: Tensor | None = None,
    text_mask: Tensor | None = None,
    edges: Tensor | None = None,
    attention: Tensor | None = None,
    impl: str = "auto",
    check_finite: bool = False,
    implementations: Sequence[str] = ("auto", "reference"),
) -> None:
    """Check everything that a selector is called with against the `Selector` contract.

    Args:
        features: `[B, N, D]`.
        layout: geometry of the N tokens.
        text: `[B, M, D]`.
        text_mask: `[B, M]` bool.
        edges: `[B, N]`.
        attention: `[B, N]`.
        impl: one of `implementations`.
        check_finite: look at the values, too (synchronises the device).
        implementations: those that the selector has.

    Raises:
        ValueError: names the input, what it was, and what was expected.
    """
    check_choice("impl", impl, implementations)
    if not isinstance(layout, ViewLayout):
        raise ValueError(f"layout must be a ViewLayout, got {type(layout).__name__}")
    _check_tensor("features", features, ("B", layout.n_tokens, "D"))
    batch, _, width = features.shape
    if batch == 0 or width == 0:
        raise ValueError(f"features must have at least one image and one channel, got shape {list(features.shape)}")
    given = {"features": features, "text": text, "edges": edges, "attention": attention}
    if text is not None:
        _check_tensor("text", text, (batch, "M", width))
        if text.shape[1] == 0:
            raise ValueError("text must hold at least one token, got M=0")
    for name in ("edges", "attention"):
        if given[name] is not None:
            _check_tensor(name, given[name], (batch, layout.n_tokens))
    if text_mask is not None:
        if text is None:
            raise ValueError("text_mask was given without text")
        if not isinstance(text_mask, Tensor):
            raise ValueError(f"text_mask must be a torch.Tensor, got {type(text_mask).__name__}")
        if text_mask.dtype != torch.bool or text_mask.shape != text.shape[:2]:
            expected = f"bool {list(text.shape[:2])}"
            raise ValueError(f"text_mask must be {expected}, got {text_mask.dtype} {list(text_mask.shape)}")
    device = features.device
    for name, tensor in {**given, "text_mask": text_mask}.items():
        if tensor is not None and tensor.device != device:
            raise ValueError(f"{name} is on {tensor.device}, features are on {features.device}")
    # On a GPU this question would wait for the device; there it is asked with `check_finite` only.
    cheap = features.device.type == "cpu" and not torch.compiler.is_compiling()
    if text_mask is not None and (check_finite or cheap) and not bool(text_mask.any(dim=1).all()):
        empty = torch.nonzero(~text_mask.any(dim=1)).flatten().tolist()
        raise ValueError(f"text_mask must leave at least one token per image, images {empty} have none")
    if check_finite:
        _check_values(given, text_mask, layout)


def _check_tensor(name: str, tensor: object, shape: tuple[int | str, ...]) -> None:
    if not isinstance(tensor, Tensor):
        raise ValueError(f"{name} must be a torch.Tensor, got {type(tensor).__name__}")
    fits = tensor.dim() == len(shape)
    for size, found in zip(shape, tensor.shape, strict=False):
        fits = fits and (size == found or isinstance(size, str))
    if not fits:
        wanted = "[" + ", ".join(map(str, shape)) + "]"
        raise ValueError(f"{name} must have shape {wanted}, got {list(tensor.shape)}")
    if not tensor.is_floating_point():
        raise ValueError(f"{name} must be floating point, got {tensor.dtype}")


def _check_values(given: dict[str, Tensor | None], text_mask: Tensor | None, layout: ViewLayout) -> None:
    for name, tensor in given.items():
        if tensor is None:
            continue
        checked = tensor
        if name != "text":
            checked = tensor[:, layout.valid_mask(tensor.device)]
        elif text_mask is not None:
            checked = tensor[text_mask]
        bad = int((~checked.isfinite()).sum())
        if bad:
            raise ValueError(f"{name} must be finite, got {bad} NaN or infinite values of {checked.numel()}")
        if name in ("features", "text"):
            _check_norms(name, checked)
    for name in ("edges", "attention"):
        tensor = given[name]
        if tensor is not None and (lowest := float(tensor[:, layout.valid_mask(tensor.device)].min())) < 0:
            raise ValueError(f"{name} must be ≥ 0, got a minimum of {lowest}")


def _check_norms(name: str, tokens: Tensor) -> None:
    if not bool(torch.linalg.vector_norm(tokens.float(), dim=-1).isfinite().all()):
        largest = float(tokens.abs().max())
        raise ValueError(f"{name} must have norms that float32 can hold, got values up to {largest:g}")
