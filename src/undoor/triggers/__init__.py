"""Trigger families: what a defender who knows nothing lets the optimiser look for."""

from __future__ import annotations

from undoor.triggers.additive import AdditiveBank
from undoor.triggers.bank import InputBank, TriggerBank
from undoor.triggers.blend import BlendBank
from undoor.triggers.files import load_trigger, trigger_of
from undoor.triggers.frequency import FrequencyBank
from undoor.triggers.generator import Generator, GeneratorBank
from undoor.triggers.latent import Latent, LatentBank
from undoor.triggers.patch import PatchBank
from undoor.triggers.stamp import Stamp
from undoor.triggers.tone import Tone, ToneBank
from undoor.triggers.trigger import Trigger
from undoor.triggers.warp import Warp, WarpBank

__all__ = [
    "AdditiveBank",
    "BlendBank",
    "FrequencyBank",
    "Generator",
    "GeneratorBank",
    "InputBank",
    "Latent",
    "LatentBank",
    "PatchBank",
    "Stamp",
    "Tone",
    "ToneBank",
    "Trigger",
    "TriggerBank",
    "Warp",
    "WarpBank",
    "load_trigger",
    "trigger_of",
]
