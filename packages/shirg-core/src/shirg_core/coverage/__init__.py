"""Regions that must each keep at least one token."""

from shirg_core.coverage.cells import cell_regions
from shirg_core.coverage.clusters import cluster_regions
from shirg_core.coverage.quadtree import quadtree_regions

__all__ = ["cell_regions", "cluster_regions", "quadtree_regions"]
