"""Triggers as results: data that can be applied to inputs, shown and saved."""

from __future__ import annotations

from undoor.triggers.cluster import Cluster
from undoor.triggers.deformation import Deformation
from undoor.triggers.files import load_trigger, trigger_of
from undoor.triggers.generator import Generator
from undoor.triggers.impulse_response import ImpulseResponse
from undoor.triggers.insertion import Insertion
from undoor.triggers.latent import Latent
from undoor.triggers.stamp import Stamp
from undoor.triggers.tone import Tone
from undoor.triggers.trigger import Trigger
from undoor.triggers.warp import Warp

__all__ = [
    "Cluster",
    "Deformation",
    "Generator",
    "ImpulseResponse",
    "Insertion",
    "Latent",
    "Stamp",
    "Tone",
    "Trigger",
    "Warp",
    "load_trigger",
    "trigger_of",
]
