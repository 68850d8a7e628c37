"""An order that has nothing to do with what is ordered, and is the same every time."""

from __future__ import annotations

import hashlib


def arbitrary_order(name: str) -> str:
    """Return the key to sort a name by: a hash of it, the same on every machine."""
    return hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
