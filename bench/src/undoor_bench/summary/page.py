"""The page of tables: bench/results/README.md."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from undoor_bench.summary import others, repairs, scans

COMMAND = "undoor-bench tables bench/results"
HEAD = f"""\
# Results

Every table on this page is made from the records that are committed in this folder, by one command:
`{COMMAND}`. How the numbers came about, what was tried and what changed is in the
[history](history.md); words are in the [glossary](../../docs/glossary.md).

- Intervals are 95 % (Clopper-Pearson). Rates of repairs are means over models, in per cent.
- ACC: accuracy on clean images. ASR: attack success rate. RA: robust accuracy, the share of
  triggered images that are predicted as their own class (the paper's SIA). TPR: share of triggered
  images that the guard flags. FPR, target class: share flagged of the clean images of the target
  class that are predicted as it.
- Seconds are of one core of an x86_64 CPU with AVX512-BF16 that other work shared; take them as
  upper bounds.
- Models whose backdoor did not take (ASR below 90 %) are left out, except for one public model
  whose record does not say its ASR (32 % was measured).
- The tables of the fourth set, of few classes, of the other models that nothing was fitted on and
  of public models are of the scan as it is. Fewer images, other seeds, costs and most repairs rest
  on scans of 2026-11-25 to 28, without margins, and were not measured again.
"""


@dataclass(frozen=True)
class Section:
    """One table.

    Attributes
    ----------
    title
        Of the section.
    text
        What was measured, with which command and when.
    table
        From the folder of the results to Markdown.
    """

    title: str
    text: str
    table: Callable[[Path], str]


# Tables of scans whose misses are named.
MISSED = ("fourth", "few", "third", "unseen", "fresh", "held_out", "public")

SECTIONS = (
    Section(
        "Detection: fresh models",
        "The 18 models of `zoo/unseen.toml` that calibrate nothing, scanned once, after the nulls "
        "had been fitted anew on what the third set showed: 30 clean images per class, seed 0 "
        "(`undoor-bench detect zoo/unseen`, 2026-12-01, the code of commits e41d46d and f925132, "
        "which scan alike; [records](detect/fourth.csv)).",
        partial(scans.found, name="fourth"),
    ),
    Section(
        "Detection: fresh models of two to five classes",
        "Models of `zoo/few.toml` that calibrate nothing and took (21 of 40: four clean ones and "
        "eleven backdoored ones were not trained, four backdoors did not take), scanned once: 30 "
        "clean images per class, seed 0 (`undoor-bench detect zoo/few`, 2026-12-01, the code of "
        "commit f925132; [records](detect/few.csv)).",
        partial(scans.found, name="few"),
    ),
    Section(
        "Detection: the fresh models of the third set",
        "Further models of `zoo/unseen.toml` (33 of the 51 that were not trained before), scanned "
        "once, after the method was frozen for the third time: 30 clean images per class, seed 0 "
        "(`undoor-bench detect zoo/unseen`, 2026-12-01, the code of commit 339e9ea; "
        "[records](detect/third.csv)). Eighteen of them calibrate now: four clean ones among them "
        "were called, of kinds that the nulls had hardly seen.",
        partial(scans.found, name="third"),
    ),
    Section(
        "Detection: the fresh models of the second set, by the method before",
        "The models of `zoo/unseen.toml` that were trained by then (41 of 92), scanned once when "
        "the method was frozen for the second time (2026-12-01, the code of commit 309f0d1; "
        "[records](detect/unseen.csv)). What they showed changed the method, so that they "
        "calibrate now.",
        partial(scans.found, name="unseen"),
    ),
    Section(
        "Detection: the fresh models of the first set, by the method of then",
        "The models of `zoo/fresh.toml`, scanned once when the method was frozen for the first "
        "time (2026-12-01, the code of commit d46208e; [records](detect/fresh.csv)). What they "
        "showed changed the method, so that they calibrate now.",
        partial(scans.found, name="fresh"),
    ),
    Section(
        "Detection: models that nothing was fitted on",
        "Models of `zoo/` that the nulls were not learned from, 30 clean images per class, seed 0 "
        "(`undoor-bench detect zoo --held-out`, 2026-12-01, the code of commit f925132; "
        "[records](detect/held_out.csv)). They are no fresh models: the form of the method, "
        "margins among it, was chosen while looking at some of them (see the history). Of the "
        "scan of 2026-11-30, with nulls of 62 models, 35 of 40 were right.",
        partial(scans.found, name="held_out"),
    ),
    Section(
        "What the nulls were learned from",
        "Scans of these models ([evidence](evidence.jsonl); `undoor-bench calibrate` fits the "
        "nulls from it). Of backdoored models of at least five classes those count that are no "
        "target; models of two to four classes have nulls of their own, of clean models alone. The "
        "plots have the smallest p-value of each model, by nulls that were fitted on all "
        "others.\n\n"
        "![The smallest p-value of each model of at least five classes without its targets, beside "
        "chance](calibration.svg)\n\n"
        "![The same of two to four classes](calibration_few.svg)",
        scans.learned,
    ),
    Section(
        "Detection: public models",
        "Seventeen models that others trained and published (`undoor-bench detect PUBLIC "
        "--trust-code`, 2026-12-01, the code of commit f925132; [records](detect/public.csv)). In "
        "three of them classes are named beside the true target. By the scan of 2026-11-25, "
        "without margins, 10 of 12 were right.",
        partial(scans.found, name="public"),
    ),
    Section(
        "What was missed",
        "Backdoored models of the tables above for which the scan did not name exactly the true "
        "targets.",
        partial(
            scans.missed, names=("fourth", "few", "third", "unseen", "fresh", "held_out", "public")
        ),
    ),
    Section(
        "Many backdoors in one model",
        "CIFAR-10 ResNet-9, 100 clean images per class (2026-11-27 and 28; "
        "[records](mitigate/ablations.csv)). Where the scan names some targets, it says that "
        "there may be more. `suspects` repairs at least the two classes that stand out most.",
        repairs.many_backdoors,
    ),
    Section(
        "Repair of several backdoors, of Trojan patterns and clean labels",
        "Fresh models of the first set, 100 clean images per class, repaired for what the scan "
        "names (`undoor-bench mitigate --methods paired --images 100`, 2026-12-01, the code of "
        "commit 0ac4e18; [records](mitigate/fresh.csv)). The nulls were learned from these models "
        "too.",
        partial(repairs.by_model, name="fresh", methods=("paired",)),
    ),
    Section(
        "Repair on CIFAR-10, 100 images per class",
        "ResNet-9, three models of each of eight attacks; the two classes that stand out most are "
        "repaired, named by the scan or not (`undoor-bench mitigate zoo --methods suspects`, "
        "2026-11-28; [records](mitigate/cifar10.csv)).",
        partial(repairs.by_attack, amount="100 a class"),
    ),
    Section(
        "Repair on CIFAR-10, 10 images per class",
        "The same models.",
        partial(repairs.by_attack, amount="10 a class"),
    ),
    Section(
        "Quick repairs",
        "The same 24 models. `--quick` needs a target that the scan names, and leaves other models "
        "as they are: its mean over all models depends on how many of them the scan misses.",
        repairs.quick,
    ),
    Section(
        "Beside published methods",
        "One model of each of the eight attacks (seed 2), the same images for every method "
        "(2026-11-26 to 28; [records](mitigate/cifar10.csv)). Bold: undoor. `quick` and "
        "`unlearning` need the scan's trigger, which it does not find for one of the eight models. "
        "strip, scale up and ibd psc flag inputs and predict nothing for them. Seconds are without "
        "the scan.",
        repairs.side_by_side,
    ),
    Section(
        "Fits",
        "BadNets, blend, SIG and WaNet (seed 2), 10 images per class, the same estimates. "
        "`disagreement`: the guard's rule of the paper. `corrected alone`: no guard, the corrected "
        "network predicts everything. `true trigger`: an oracle, fitted with the attacker's "
        "trigger.",
        repairs.fits,
    ),
    Section(
        "Other networks and data",
        "2026-11-27 and 28 ([records](mitigate/networks.csv)).",
        partial(repairs.by_model, name="networks", methods=("suspects", "quick", "unlearning")),
    ),
    Section(
        "Repair of public models",
        "2026-11-28 ([records](mitigate/public.csv)). `paired` repairs what the scan names.",
        partial(repairs.by_model, name="public", methods=("paired", "suspects")),
    ),
    Section(
        "Attackers who change one thing",
        "CIFAR-10 ResNet-9, 100 clean images per class, 2026-11-28 "
        "([records](mitigate/ablations.csv)).",
        partial(repairs.by_model, name="ablations", methods=("suspects",)),
    ),
    Section(
        "Fewer clean images",
        "Three clean and four backdoored held-out models, 2026-11-25 ([records](curve/curve.csv)). "
        "Since then no model is called backdoored with fewer than three images per class.",
        scans.by_images,
    ),
    Section(
        "Other seeds",
        "Ten seeds of images and scan, 2026-11-25 ([records](seeds/seeds.csv)).",
        scans.by_seed,
    ),
    Section(
        "Cost of a scan",
        "Beside mask inversion (Neural Cleanse) with its published early stop, one model for each "
        "number of classes, 2026-11-25 ([records](cost/cost.csv)). A pass is one image forward and "
        "backward; those of mask inversion are extrapolated from one or two classes.",
        scans.cost,
    ),
    Section(
        "False alarms",
        "Repairs of classes of three clean ResNet-9 models, 2026-11-28 "
        "([records](false_alarm/false_alarm.md)).",
        others.false_alarms,
    ),
    Section(
        "Wrappers",
        "Reading the graph and asking the network twice, 2026-11-30 "
        "([records](scrutiny/scrutiny.json)).",
        others.scrutiny,
    ),
    Section(
        "Time of the fits and of the guard",
        "All per channel, on the same images with the same trigger "
        "([ResNet-18](align_resnet18.json), [wide ResNet](align_wrn16_1.json), "
        "[guard](guard_wrn16_1.json)).",
        others.fit_times,
    ),
    Section(
        "Killed and resumed",
        "A small network, 2026-11-27 ([scans](kills.json), [repairs](kills_repair.json)).",
        others.kills,
    ),
)
TAIL = """\
## Other records

- [theory](theory/theory.md): the theorem behind the corrections, in closed form and by Monte Carlo.
- [arithmetic](arithmetic/arithmetic.md): bfloat16 beside float32. [memory](memory.json): resident
  memory under `--memory`. [start](start/start.json): seconds that a command takes to start.
- [zoo](zoo), [true_trigger](true_trigger): public models before the scan had its present families;
  the tables are in the history.
"""


def page(folder: Path) -> str:
    """Return all tables as Markdown.

    Parameters
    ----------
    folder
        With the committed records: bench/results.

    Raises
    ------
    UndoorError
        Records are missing.
    """
    parts = [f"## {each.title}\n\n{each.text}\n\n{each.table(folder)}" for each in SECTIONS]
    # Records name amounts as they were named when they were measured.
    return "\n".join([HEAD, *parts, TAIL]).replace(" a class |", " per class |")
