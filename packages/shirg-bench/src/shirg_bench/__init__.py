"""shirg-bench: measuring latency, memory and accuracy of visual token selection."""

__version__ = "0.1.0"
