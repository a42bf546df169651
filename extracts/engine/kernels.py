"""Arrow's compute kernels, typed as loosely as they are: they accept more than their stubs say."""

from __future__ import annotations

from typing import Any

import pyarrow.compute

pc: Any = pyarrow.compute
