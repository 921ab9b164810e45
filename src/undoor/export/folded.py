"""The corrected network as a plain state dict, where nothing is lost by that."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file, save
from torch import Tensor

from undoor.align.fold import fold, folds
from undoor.align.transform import Correction
from undoor.classifier import Classifier
from undoor.errors import UndoorError
from undoor.export.about import About
from undoor.export.parity import TOLERANCE, Parity
from undoor.repairs.record import Repair
from undoor.sites import Site, attach, find_sites

# Key of the safetensors metadata under which it describes itself.
METADATA = "undoor.export"
WAY_OUT = "export the guarded model instead: --to onnx or --to pt2"


def folded(classifier: Classifier, repair: Repair) -> Classifier:
    """Return the network corrected for the one target of `repair`, with unchanged state-dict keys.

    Raises
    ------
    UndoorError
        There are several targets, or a correction clips, is per position, moves channels together,
        or stands where no BN with weights is.
    """
    if len(repair.targets) != 1:
        raise UndoorError(
            f"expected a repair of one target, got {len(repair.targets)}: each has a corrected "
            f"network of its own, and a state dict holds one; {WAY_OUT}, or leave one target with "
            "`undoor repairs remove`"
        )
    made = fold(classifier, repair.targets[0].corrections)
    left = [(name, module) for name, module in made.named_modules() if isinstance(module, Site)]
    if left:
        name, site = left[0]
        raise UndoorError(
            f"{len(left)} of {len(repair.targets[0].corrections)} corrections do not fold into the "
            f"weights: the one at {name} {_why(site)}; expected affine ones per channel, each "
            f"behind a batch norm; {_anew(classifier, name)}{WAY_OUT}"
        )
    if made.network.state_dict().keys() != classifier.network.state_dict().keys():
        raise UndoorError(
            "a corrected batch norm has no weight and bias of its own; expected ones that are "
            f"affine, since the architecture has no place for what folds into others; {WAY_OUT}"
        )
    return made


def _anew(classifier: Classifier, name: str) -> str:
    """Return advice for a correction from before this network's norms were recognised."""
    if name in {site.name for site in find_sites(classifier)}:
        return ""
    return "repair again, since corrections now stand behind the norms of this network, or "


def _why(site: Site) -> str:
    if not folds(site.inner):
        return "stands behind no batch norm"
    h = site.correction
    assert isinstance(h, Correction)
    clips = bool(torch.isfinite(h.low).any() or torch.isfinite(h.high).any())
    if clips:
        return "clips"
    return "moves channels together" if h.down is not None else "is per position"


def write(made: Classifier, about: About, file: Path) -> None:
    """Write the state dict of the folded network, with its description as metadata."""
    state = {
        key: value.detach().contiguous().clone() for key, value in made.network.state_dict().items()
    }
    file.write_bytes(save(state, {METADATA: about.to_text()}))


@torch.no_grad()
def check(
    classifier: Classifier, repair: Repair, made: Classifier, file: Path, batches: list[Tensor]
) -> Parity:
    """Load the file strictly and compare it with the network with its corrections attached.

    Raises
    ------
    UndoorError
        Their logits differ.
    """
    made.network.load_state_dict(load_file(file), strict=True)
    reference = attach(classifier, repair.targets[0].corrections)
    largest, allowed = 0.0, TOLERANCE
    for x in batches:
        expected = reference(x)
        allowed = max(allowed, TOLERANCE * float(expected.abs().max()))
        largest = max(largest, float((expected - made(x)).abs().max()))
    if not largest <= allowed:
        raise UndoorError(
            f"the folded network disagrees with the corrected one: logits differ by {largest:.3g}, "
            f"expected at most {allowed:.3g}; {WAY_OUT}"
        )
    return Parity(sum(map(len, batches)), largest, allowed)
