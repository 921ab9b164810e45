"""Names and defaults that need no torch: the only copy of each."""

from __future__ import annotations

# What an input is.
IMAGES = "images"
VECTORS = "vectors"
# Entry points under which packages add trigger families.
FAMILY_GROUP = "undoor.families"
# The command that fits the nulls of trigger families.
CALIBRATE = "undoor bench calibrate"
