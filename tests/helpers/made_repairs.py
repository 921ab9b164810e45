"""Repairs with numbers of their own, nothing fitted."""

from __future__ import annotations

import torch

from undoor.align.guard_threshold import GuardThreshold
from undoor.align.transform import Correction
from undoor.align.trial import Trial
from undoor.classifier import Classifier
from undoor.contract import Contract
from undoor.identity.model import identify
from undoor.rate import Rate
from undoor.repairs.contents import SiteChoice, TargetRepair
from undoor.repairs.record import Repair
from undoor.sites import find_sites
from undoor.triggers import Stamp


def calibration(target: int) -> GuardThreshold:
    """Of four clean inputs for target 1, of none for target 3."""
    rate = Rate(0.25, 0.01, 0.81, 4) if target == 1 else Rate(None, None, None, 0)
    return GuardThreshold(1.5 * target, 0.02, rate)


def make_repair(classifier: Classifier, targets: tuple[int, ...] = (1, 3)) -> Repair:
    """Corrections of every site for some targets, with numbers of their own."""
    items = []
    for target in targets:
        corrections, sites = {}, []
        for site in find_sites(classifier):
            generator = torch.Generator().manual_seed(target)
            scale = torch.rand(site.shape, generator=generator)
            low = torch.full(site.shape, -torch.inf)
            mixing = torch.rand(2, 2, site.shape[0], generator=generator) / site.shape[0]
            corrections[site.name] = Correction(
                scale, 0.1 * scale, low, scale + 3, mixing[0], mixing[1].T
            )
            sites.append(SiteChoice(site.name, site.extent, "position", 0.5 * target))
        shape = classifier.input_shape
        pattern = torch.rand(shape, generator=torch.Generator().manual_seed(target))
        trigger = Stamp("patch", torch.ones(1, *shape[1:]), pattern, "replace", classifier.bounds)
        items.append(
            TargetRepair(
                target, (0, 2), trigger, corrections, calibration(target), "finest", tuple(sites),
                (Trial("finest", 0.9, 0.01, 0.9), Trial("per channel", 0.5, 0.0, 0.5)),
                0.01, 0.9, 0.02,
            )
        )  # fmt: skip
    seconds = {"scan": 1.0, "align": 2.0}
    contract = Contract.of(classifier)
    identity = identify(classifier)
    return Repair(
        "backdoored",
        tuple(items),
        "paired",
        str(identity.sha256),
        contract,
        seconds,
        identity=identity,
    )
