"""shirg-bench: measuring latency, memory and accuracy of visual token selection."""

from importlib.metadata import version

__version__ = version("shirg-bench")
