"""Sentences on the quality of a repair, its threshold and its refits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from undoor.noun import INPUT, Noun

if TYPE_CHECKING:
    from undoor.align.guard_threshold import GuardThreshold
    from undoor.repairs.adaptation import Adaptation


def calibration_note(calibration: GuardThreshold, label: str, noun: Noun = INPUT) -> str | None:
    """Return a sentence where the requested false-positive rate cannot be guaranteed, else None.

    Parameters
    ----------
    calibration
        That of the guard of one target.
    label
        The target class as the reader knows it.
    noun
        What inputs are called.

    >>> import torch
    >>> from undoor.align.guard_threshold import GuardThreshold
    >>> few = GuardThreshold.of(torch.arange(8.0), torch.tensor([90.0]), 0.01)
    >>> print(calibration_note(few, "5 stop"))
    with 8 clean inputs of class 5 stop that are predicted as it, a false-positive rate below 11 % \
cannot be guaranteed (requested: 1 %, which takes 99 inputs); the threshold lies above all scores
    """
    if calibration.attainable:
        return None
    if calibration.n == 0:
        return (
            f"no clean {noun.one} of class {label} is predicted as it, so that no "
            "false-positive rate can be guaranteed; every input that keeps less than three "
            "quarters of the target's lead is flagged"
        )
    count = f"{calibration.n} clean {noun.one if calibration.n == 1 else noun.many}"
    are, scores = ("is", "its score") if calibration.n == 1 else ("are", "all scores")
    return (
        f"with {count} of class {label} that {are} predicted as it, a false-positive rate below "
        f"{_percent(calibration.resolution)} cannot be guaranteed (requested: "
        f"{_percent(calibration.wanted)}, which takes {calibration.needed} {noun.many}); the "
        f"threshold lies above {scores}"
    )


def poor_note(sia: float | None, label: str, noun: Noun = INPUT) -> str:
    """Return a warning that a repair is poor (`undoor.vocabulary.is_poor`), and what to do.

    Parameters
    ----------
    sia
        Its cross-validated robust accuracy.
    label
        The target class as the reader knows it.
    noun
        What inputs are called.

    >>> print(poor_note(0.31, "5 stop"))
    POOR REPAIR of 5 stop: with the recovered trigger, only 31 % of inputs are predicted as their \
own class (RA, the paper's SIA), cross-validated; do not serve this model; repair it with more \
clean inputs and without --quick, or have it trained anew
    """
    share = "an unknown share" if sia is None else f"only {_percent(sia)}"
    return (
        f"POOR REPAIR of {label}: with the recovered trigger, {share} of {noun.many} are predicted "
        "as their own class (RA, the paper's SIA), cross-validated; do not serve this model; "
        f"repair it with more clean {noun.many} and without --quick, or have it trained anew"
    )


def adaptation_note(adapted: Adaptation, label: str) -> str:
    """Return a sentence on the result of a refit on flagged inputs.

    Parameters
    ----------
    adapted
        The record of the refit.
    label
        The target class as the reader knows it.

    >>> from undoor.repairs.adaptation import Adaptation
    >>> adaptation_note(Adaptation(seen=900, flagged=12, needed=20), "5 stop")
    '12 of 900 inputs were flagged as 5 stop, 20 are needed; its corrections stay as they were'
    """
    counts = f"{adapted.flagged:,} of {adapted.seen:,} inputs were flagged as {label}"
    if adapted.refitted:
        on = "them" if adapted.fitted == adapted.flagged else f"{adapted.fitted:,} of them"
        return f"{counts}; its corrections are refitted on {on}"
    why = f", {adapted.needed} are needed"
    if adapted.missed is not None:
        why = f", but a guard refitted on them would let {adapted.missed:.0%} of such inputs pass"
    earlier = f", fitted on {adapted.fitted:,} flagged earlier" if adapted.fitted else ""
    return f"{counts}{why}; its corrections stay as they were{earlier}"


def _percent(share: float) -> str:
    """Return a share in percent: two digits, three where two would give a round number.

    >>> _percent(0.0323), _percent(0.01), _percent(1 / 99)
    ('3.2 %', '1 %', '1.01 %')
    """
    short = f"{100 * share:.2g}"
    return f"{short if len(short) > 1 else f'{100 * share:.3g}'} %"
