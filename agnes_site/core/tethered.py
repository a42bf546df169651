"""Run a command that is asked to end when whoever started it is gone: `tethered.py COMMAND …`.

Also when that one was killed and could not see to it. It is run as a file, and imports nothing of
ours: it is over before anybody notices.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1

if __name__ == "__main__":
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    os.execv(sys.argv[1], sys.argv[1:])
