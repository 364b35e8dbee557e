"""Regions that must each keep at least one token."""

from shirg_core.coverage.cells import cell_regions
from shirg_core.coverage.clusters import cluster_regions

__all__ = ["cell_regions", "cluster_regions"]
