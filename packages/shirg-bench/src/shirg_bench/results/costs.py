"""Tables of time and memory: a table per model, setting and hardware."""

from __future__ import annotations

from collections.abc import Sequence

from shirg_bench.results.rows import Row
from shirg_bench.results.table import Columns, Table, by_caption
from shirg_bench.results.words import model_words, number_words, setting_words

MIB = 2**20
LATENCY: Columns = {
    "variant": lambda row: str(row["variant"]),
    "cache": lambda row: "on" if row["cache"] else "off",
    "visual tokens": lambda row: number_words(row["visual_tokens"], "g"),
    "prefix tokens": lambda row: number_words(row["prefix_tokens"], "g"),
    "KV, MiB": lambda row: number_words(row["kv_bytes"], ".2f", MIB),
    "KV of the 8B model, MiB": lambda row: number_words(row.get("kv_8b_mib"), ".1f"),
    "select, ms": lambda row: number_words(row["select_ms"], ".1f"),
    "tower, ms": lambda row: number_words(row["tower_ms"], ".1f"),
    "prefill, ms": lambda row: number_words(row["prefill_ms"], ".1f"),
    "ms per step": lambda row: number_words(row["step_ms"], ".2f"),
    "end to end, ms": lambda row: number_words(row["end_to_end_ms"], ".1f"),
    "× pooled": lambda row: number_words(row.get("ratio_to_pooled"), ".2f"),
    "peak, MiB": lambda row: number_words(row["peak_bytes"], ".0f", MIB),
    "of the tower": lambda row: number_words(row.get("tower_peak_bytes"), ".0f", MIB),
    "of the choice": lambda row: number_words(row.get("select_peak_bytes"), ".1f", MIB),
    "of the prefill": lambda row: number_words(row.get("prefill_peak_bytes"), ".0f", MIB),
}
AUTOREGRESSIVE: Columns = {
    "steps": lambda row: number_words(row["nfe"], "g"),
    "answer tokens": lambda row: number_words(row["answer_tokens"], "g"),
    "prefix tokens": lambda row: number_words(row["prefix_tokens"], "g"),
    "autoregressive, ms": lambda row: number_words(row["autoregressive_ms"], ".1f"),
    "diffusion, ms": lambda row: number_words(row["diffusion_ms"], ".1f"),
    "times as fast": lambda row: number_words(row["speedup"], ".2f"),
    "end to end": lambda row: number_words(row["speedup_end_to_end"], ".2f"),
}
EVERY_VARIANT: Columns = {
    "variant": lambda row: str(row["variant"]),
    **AUTOREGRESSIVE,
    "autoregressive, ms per token": lambda row: number_words(row["autoregressive_token_ms"], ".1f"),
    "diffusion, ms per step": lambda row: number_words(row["step_ms"], ".1f"),
}
SELECTION: Columns = {
    "method": lambda row: str(row["method"]),
    "tokens": lambda row: number_words(row["tokens"], "g"),
    "kept": lambda row: number_words(row["kept"], "g"),
    "ms": lambda row: number_words(row["select_ms"], ".1f"),
    "× one cosine product": lambda row: number_words(row["ratio_to_cosine"], ".3f"),
    "peak, MiB": lambda row: number_words(row["peak_bytes"], ".1f", MIB),
}


def latency_tables(rows: Sequence[Row]) -> list[Table]:
    """One per model, dtype, length of the answer and hardware: a line per variant, with and without cache."""
    return by_caption(rows, LATENCY, lambda row: f"{setting_words(row)}, on {row['hardware']}")


def autoregressive_tables(rows: Sequence[Row], columns: Columns = AUTOREGRESSIVE) -> list[Table]:
    """One per model, dtype and hardware: the same-size autoregressive model against fewer and fewer denoising steps."""
    caption = "Diffusion against the same-size autoregressive model"
    return by_caption(rows, columns, lambda row: f"{caption}, {model_words(row)}, on {row['hardware']}")


def selection_tables(rows: Sequence[Row]) -> list[Table]:
    """One per hardware: what choosing costs, a line per method and shape."""
    return by_caption(rows, SELECTION, lambda row: f"Selection alone, on {row['hardware']}")
