"""A case around the toy network, whose true trigger is known."""

from __future__ import annotations

from pathlib import Path

from helpers.tiny import CLASSES, TARGET, clean_images, toy_classifier, true_trigger
from undoor.scan.report import ScanReport
from undoor_bench.amount import Amount
from undoor_bench.mitigate.case import Case
from undoor_bench.mitigate.methods import bare
from undoor_bench.rates import PredictionSet
from undoor_bench.records import Setting
from undoor_bench.zoo.planted import Planted
from undoor_bench.zoo.subjects import Subject

SOURCES = tuple(k for k in range(CLASSES) if k != TARGET)
SETTING = Setting(Amount(10), 0, 0)


def toy_case(scans: Path, report: ScanReport | None, *, norm: bool = True) -> Case:
    """With `report` as the scan that was made of it before."""
    folder = scans.parent / "toy"
    subject = Subject(
        folder=folder,
        data="mnist",
        attack="badnets",
        network="VGG",
        targets=(TARGET,),
        sources=(SOURCES,),
        asr=1.0,
        took=True,
    )
    if report is not None:
        report.save(scans / SETTING.folder / subject.name)
    backdoor = Planted(TARGET, SOURCES, true_trigger())
    test = clean_images(20, seed=5)
    return Case(
        subject=subject,
        setting=SETTING,
        classifier=toy_classifier(backdoored=True, norm=norm),
        clean=clean_images(),
        test=test,
        backdoors=(backdoor,),
        triggered=(backdoor.triggered(test),),
        scans=scans,
    )


def before(case: Case) -> PredictionSet:
    """Of the bare model."""
    return PredictionSet.of(bare(case), case.test, case.triggered)
