"""The recovered triggers that an exported file carries, as small pictures."""

from __future__ import annotations

import io

from PIL import Image

from undoor.classifier import ENTRY
from undoor.repairs.record import Repair
from undoor.spaces.space import Space
from undoor.triggers.pictures import has_picture, trigger_picture

# Bytes of one picture, and of all of them.
MAX_BYTES = 16 * 1024
MAX_TOTAL = 256 * 1024
# Longer sides in pixels, tried one after the other.
SIDES = (160, 128, 96, 64, 48, 32)


def trigger_pictures(repair: Repair, space: Space) -> dict[int, bytes]:
    """Return a PNG of each trigger that acts on inputs, by target.

    None is larger than `MAX_BYTES`; the first ones together take at most `MAX_TOTAL`, and the
    others are left out.
    """
    found: dict[int, bytes] = {}
    for item in repair.targets:
        if item.trigger.site != ENTRY or not has_picture(item.trigger, space):
            continue
        picture = _small(trigger_picture(item.trigger, space))
        if picture is None or sum(map(len, found.values())) + len(picture) > MAX_TOTAL:
            continue
        found[item.target] = picture
    return found


def _small(content: bytes) -> bytes | None:
    """Return a PNG as the largest one that is small enough; None where there is none."""
    with Image.open(io.BytesIO(content)) as opened:
        image = opened.convert("RGB")
    for side in SIDES:
        smaller = image.copy()
        smaller.thumbnail((side, side), Image.Resampling.BOX)
        stream = io.BytesIO()
        smaller.save(stream, "PNG", optimize=True)
        if stream.tell() <= MAX_BYTES:
            return stream.getvalue()
    return None
