"""The presets as Triton kernels, one idea per file. Imported only when this backend is chosen; see KERNELS.md."""

from shirg_core.kernels.backend import select_v2, select_v3
from shirg_core.kernels.numerics import check_device

__all__ = ["check_device", "select_v2", "select_v3"]
