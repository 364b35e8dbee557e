"""Offline lmms-eval tasks: documents, charts and needles, drawn from seeds that no training run uses.

`lmms_eval --include_path` takes `TASKS_FOLDER`. Groups: `shirg` (112 px pages for the embedded model) and `shirg_hd`
(672 px pages in several print sizes, for models of real size).
"""

from pathlib import Path

TASKS_FOLDER = Path(__file__).parent
"""Folder of the task files, for `TaskManager(include_path=[…])`."""
