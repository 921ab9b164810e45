"""The smallest patches, made opaque: how clearly their strongest pixels move images to a class."""

from __future__ import annotations

from undoor.families.at_size import AtSize
from undoor.families.patch import PATCH
from undoor.spaces.images import IMAGES

# The smallest patches of natural triggers are spread thinly, and a few pixels of them move little;
# those of a planted patch are in one place, and as many pixels move images far beyond the boundary.
OPAQUE_PATCH = PATCH.at_one_size(
    "opaque patch",
    AtSize(size=6.0, steps=0, batch=0, tried=64, relative=0.75, spread=2.0),
    spaces=frozenset({IMAGES.name}),
    smallest=None,
    places=None,
    made_of=PATCH,
)
