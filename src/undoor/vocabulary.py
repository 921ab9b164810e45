"""Names and defaults that need no torch: the only copy of each.

A name that only one module speaks of stays there. Here stand those that several need, among them
the command line, whose help must not wait for torch.
"""

from __future__ import annotations

from typing import Final, Literal, get_args

# The verdicts of a scan.
Verdict = Literal["backdoored", "clean", "inconclusive"]
# Why a scan reaches no verdict, where the cause is known: its budget ended, the predictions of the
# model disagree with the labels, its scores are flat, or it has too few images or classes.
Cause = Literal["budget", "labels", "scores", "images", "classes"]
CAUSES = get_args(Cause)
BUDGET: Final = "budget"
LABELS: Final = "labels"
SCORES: Final = "scores"
FEW_IMAGES: Final = "images"
FEW_CLASSES: Final = "classes"
# What is learned on models of fewer classes is absolute: the others are too few to compare with.
MANY_CLASSES: Final = 5
# The share of clean models that may be called backdoored.
DEFAULT_ALPHA: Final = 0.02

# Whether a network may be called clean although not everything was searched and compared.
AcceptCoverage = Literal["full", "partial"]
FULL: Final = "full"
PARTIAL: Final = "partial"

# Why a trigger family was not searched, or not to the end.
NOT_FOR_SPACE: Final = "not for this space"
OPAQUE: Final = "opaque network"
NO_HEAD: Final = "no linear head"
NO_SITES: Final = "no sites"
SAME_SITE: Final = "same site as another family"
BUDGET_ENDED: Final = "budget ended"
NOT_STARTED: Final = "search not started"
# What else a verdict lacks.
FEW_SITES: Final = "few sites"
NO_NULL: Final = "no null"
NO_IMAGES: Final = "classes without images"
OTHER_SPACE: Final = "other space"
OTHER_TASK: Final = "other task"
UNKNOWN_TASK: Final = "unknown task"
OTHER_SIZE: Final = "other size"
OTHER_NETWORK: Final = "other kind of network"
TINY_ONLY: Final = "only tiny triggers"
LITTLE_POWER: Final = "little power"
SOME_TARGETS: Final = "some targets"
RANKED_FIRST: Final = "ranked first"
SMALLER_INPUTS: Final = "smaller inputs"
LABELS_BY_MODEL: Final = "labels by the model"

# The reasons of a verdict, beside what it lacks; `BUDGET_ENDED` and `NO_HEAD` are reasons as well.
TARGET_FOUND: Final = "target found"
STANDS_OUT: Final = "stands out"
MOVES_FEW: Final = "moves few images"
AS_NATURAL: Final = "as large as natural"
SEVERAL_TARGETS: Final = "several targets"
NOTHING_WORKS: Final = "no trigger works"
NOTHING_STANDS_OUT: Final = "nothing stands out"
NEAR_CHANCE: Final = "near chance"
FLAT_SCORES: Final = "flat scores"
ODD_GRAPH: Final = "odd graph"
ACCEPTED_GRAPH: Final = "accepted graph"
GRAPH_NOT_READ: Final = "graph not read"
RUNS_DISAGREE: Final = "runs disagree"
# Of a report of an older version, or of another package: a sentence.
AS_WRITTEN: Final = "as written"
ReasonCode = Literal[
    "target found",
    "stands out",
    "moves few images",
    "as large as natural",
    "several targets",
    "no trigger works",
    "nothing stands out",
    "near chance",
    "flat scores",
    "no linear head",
    "odd graph",
    "accepted graph",
    "graph not read",
    "runs disagree",
    "budget ended",
    "as written",
]

# Fits of corrections that a user chooses from; `undoor.align.fit.FITS` has ablations beside them.
Fit = Literal["paired", "onepass", "paper", "reference"]
PAIRED: Final = "paired"
ONEPASS: Final = "onepass"
PAPER: Final = "paper"
REFERENCE: Final = "reference"
PAIRED_UNBOUNDED: Final = "paired_unbounded"
DEFAULT_FIT: Final = PAIRED
# What stands in the place of a fit where there are no layers to correct.
REPLACED_CELLS: Final = "replaced cells"
# What a correction has numbers of: each channel, or each position of each channel.
Granularity = Literal["channel", "position"]

# When the guard flags an input, and what it then predicts.
Rule = Literal["margin", "disagreement"]
RULES = get_args(Rule)
MARGIN: Final = "margin"
DISAGREEMENT: Final = "disagreement"
DEFAULT_RULE: Final = MARGIN
Policy = Literal["relabel", "reject", "flag"]
POLICIES = get_args(Policy)
RELABEL: Final = "relabel"
REJECT: Final = "reject"
FLAG: Final = "flag"
DEFAULT_POLICY: Final = RELABEL
# The label of an input without a prediction: no class has it.
REJECTED: Final = -1
# The guard's score, in float32: the lowest finite number of inputs that no corrected network has
# seen, since they are not predicted as a target; the highest of inputs that cannot be judged:
# outside the bounds, or with a score that is no finite number.
NO_SCORE: Final = -3.4028234663852886e38
MAX_SCORE: Final = 3.4028234663852886e38
# An input counts as within the bounds up to this share of their range beyond them: resizing
# overshoots at edges by as much. Normalised values, or those of another scale, lie further out.
OVERSHOOT: Final = 0.05
# The share of clean inputs of a target, predicted as such, that the guard may flag.
DEFAULT_FPR: Final = 0.01

# The cross-validated robust accuracy (RA; the paper's SIA) below which a repair counts as poor. Of
# the 145 repairs of the committed records (`bench/results/mitigate`), nine in ten have an RA of
# at least 0.70 with the true trigger, and none lies between 0.49 and 0.58: the ten below missed the
# target or the trigger. What is cross-validated uses the recovered trigger and lies near the RA
# of the true one or above it (at least 0.84 in `bench/results/true_trigger`).
MIN_SIA: Final = 0.5

# Of several repairs for one target, which one is used.
Prefer = Literal["first", "last"]
LAST: Final = "last"
# What a guarded model is exported as.
ExportFormat = Literal["onnx", "pt2", "safetensors"]
# What a network gives: scores of each class, probabilities of one class or of each; or one score
# per input for yes or no, or its probability.
Output = Literal["logits", "probabilities", "sigmoid", "logit", "probability"]
# Where models compute by default, and the name for "a GPU, if there is one".
DEFAULT_DEVICE: Final = "cpu"
AUTO: Final = "auto"
# What an output means by default.
DEFAULT_TASK: Final = "single label"
# What an input is: the spaces of undoor.
IMAGES: Final = "images"
VECTORS: Final = "vectors"
ROWS: Final = "rows"
SIGNALS: Final = "signals"
POINTS: Final = "points"
TOKENS: Final = "tokens"
# What a network is made of, as far as its nulls depend on it; opaque ones cannot be looked into,
# black boxes are none, as decision trees.
CONVOLUTIONAL: Final = "convolutional"
TRANSFORMER: Final = "transformer"
OTHER_KIND: Final = "other"
BLACK_BOX: Final = "black box"

# Files of results, and of models.
SCAN_FILE: Final = "scan.json"
REPORT_PAGE: Final = "report.html"
REPAIR_FILE: Final = "repair.safetensors"
REPAIR_DESCRIPTION: Final = "repair.json"
RUN_FILE: Final = "run.json"
# In an output folder, where an unfinished run stores its steps.
RUN_FOLDER: Final = ".undoor-run"
# In it, who searches what where several processes search one model.
CLAIMS_FOLDER: Final = "claims"
MODEL_FILE: Final = "model.toml"
# In an exported .pt2 file, the entry that describes it; in an ONNX file, the key of its metadata.
EXPORT_ENTRY: Final = "undoor.json"
EXPORT_KEY: Final = "undoor"
EXPORT_SCHEMA: Final = "undoor/export/1"
# What exported graphs take, pixels of any size where they prepare them, and what they return.
EXPORT_INPUT: Final = "images"
EXPORT_PIXELS: Final = "pixels"
EXPORT_OUTPUTS: Final = ("logits", "flagged", "score")
# Inside them, the logits of the original network.
EXPORT_BARE: Final = "bare"

# Entry points under which packages add trigger families, spaces of inputs, and tasks.
FAMILY_GROUP: Final = "undoor.families"
SPACE_GROUP: Final = "undoor.spaces"
TASK_GROUP: Final = "undoor.tasks"
# The command that fits the nulls of trigger families.
CALIBRATE: Final = "undoor calibrate"

# Entry points under which packages add fits of corrections, and formats of reports.
FIT_GROUP: Final = "undoor.fits"
REPORT_GROUP: Final = "undoor.reports"


def trigger_file(target: int) -> str:
    """Return the name of the file with the trigger of a target.

    >>> trigger_file(3)
    'trigger_3.npz'
    """
    return f"trigger_{target}.npz"


def is_poor(sia: float | None) -> bool:
    """Return whether a repair with this RA counts as poor.

    An unknown RA, as after `adapt`, does not.

    Parameters
    ----------
    sia
        Cross-validated, from 0 to 1.

    Examples
    --------
    >>> is_poor(0.31), is_poor(0.82), is_poor(None)
    (True, False, False)
    """
    # Written so that what is no number counts as poor.
    return sia is not None and not sia >= MIN_SIA
