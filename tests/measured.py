"""What a process needs from its environment to be measured when the tests are.

`make coverage` measures every process that Python starts, told by a variable of coverage.py.
Processes whose environment the tests or the product make from nothing are given it here; when
nothing is measured there is nothing to give.
"""

from __future__ import annotations

import os

ENVIRONMENT = {
    name: value for name, value in os.environ.items() if name.startswith("COVERAGE_PROCESS_")
}
