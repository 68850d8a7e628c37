"""How much memory a process has taken at most."""

import re
import resource
import sys
from pathlib import Path

_STATUS = Path("/proc/self/status")


def peak_mebibytes() -> float:
    """Return the peak resident set of this process in MiB."""
    if _STATUS.exists():
        # What `getrusage` tells on Linux begins with that of the process which started this one.
        (kibibytes,) = re.findall(r"^VmHWM:\s*(\d+) kB", _STATUS.read_text(), re.MULTILINE)
        return int(kibibytes) / 1024
    unit = 1 if sys.platform != "darwin" else 1 / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1024
