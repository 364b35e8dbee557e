"""`python -m shirg_core` is the command `shirg`."""

import sys

from shirg_core.cli.app import main

sys.exit(main())
