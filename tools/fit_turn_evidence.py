"""Fits the model of ``turns/fusion.py`` to evidence that ``collect_turn_evidence.py`` collected.

    pip install 'scikit-learn>=1.5'
    python tools/fit_turn_evidence.py EVIDENCE.jsonl [--write]

Logistic regression with an L2 penalty over six features. All figures that it prints are
cross-validated: each speaker's silences are predicted by a model that was fitted without that
speaker (clips without a named speaker count as one each). It prints the reliability curve, and
what the wait that follows would have cost at several settings of ``turns.eagerness``. ``--write``
puts the model, fitted to everything, and these figures into ``src/voicebot/turns/fusion.json``.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score
from sklearn.model_selection import GroupKFold

from voicebot.turns.evidence import Look, Reading, TurnEvidence
from voicebot.turns.fusion import FEATURES, FusedModel, features, fused_model
from voicebot.turns.waits import FusedWait

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FOLDS = 12
_PENALTY = 0.3  # inverse strength, on standardised features
_LATEST_LOOK_MS = 140.0
_LOOK_EVERY_MS = 32.0
_QUICKEST_COMMIT_MS = 150.0
# Not the mean of the pauses at hand (340 ms): their tail is longer than an exponential's, and the
# wait that follows from a longer mean is the better trade. With at most 8 of 145 pauses cut into,
# held-out people of the kinds question, command, read and order were answered after 173 ms in the
# median (mean 355) with 500, after 305 (412) with 340 and after 471 (505) with 250.
_PAUSE_MEAN_MS = 500.0
_OUTPUT_MS = 35.0  # from a commit to the ear, with the virtual loudspeaker
_BINS = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 1.0)
_EAGERNESS = (0.2, 0.35, 0.5, 0.65, 0.8)
_FILE = Path(__file__).resolve().parent.parent / "src/voicebot/turns/fusion.json"


@dataclass(frozen=True, slots=True)
class _Silence:
    kind: str
    group: str
    is_end: bool
    length_ms: float
    late_ms: float
    evidence: TurnEvidence


def _silence(row: dict[str, Any]) -> _Silence:
    return _Silence(
        kind=row["kind"],
        group=row["group"],
        is_end=row["label"] == "end",
        length_ms=float("inf") if row["length_ms"] is None else row["length_ms"],
        late_ms=row["late_ms"],
        evidence=TurnEvidence(
            tuple(Look(*look) for look in row["looks"]),
            Reading(row["text"], row["end_probability"], row["confidence"]),
            row["earlier_pauses"],
        ),
    )


def _fit(matrix: NDArray[np.float64], is_end: NDArray[np.bool_]) -> FusedModel:
    means, spreads = matrix.mean(0), matrix.std(0) + 1e-9
    fitted = LogisticRegression(C=_PENALTY).fit((matrix - means) / spreads, is_end)
    weights = fitted.coef_[0] / spreads
    return FusedModel(
        intercept=float(fitted.intercept_[0] - weights @ means),
        weights=dict(zip(FEATURES, weights.tolist(), strict=True)),
        means=dict(zip(FEATURES, means.tolist(), strict=True)),
        pause_mean_ms=_PAUSE_MEAN_MS,
        quickest_commit_ms=_QUICKEST_COMMIT_MS,
        look_window_s=fused_model().look_window_s,
        latest_look_ms=_LATEST_LOOK_MS,
        look_every_ms=_LOOK_EVERY_MS,
    )


def _matrix(silences: list[_Silence]) -> NDArray[np.float64]:
    rows = [features(item.evidence, latest_look_ms=_LATEST_LOOK_MS) for item in silences]
    matrix = np.array([[row[name] for name in FEATURES] for row in rows], dtype=np.float64)
    return np.where(np.isnan(matrix), np.nanmean(matrix, axis=0), matrix)


def _policy(silences: list[_Silence], models: list[FusedModel], eagerness: float) -> dict[str, Any]:
    """What the wait would have cost: latency at ends, cut-ins at pauses."""
    waits = [
        FusedWait(eagerness, model=model).wait(item.evidence).wait_ms
        for item, model in zip(silences, models, strict=True)
    ]
    ends = [
        wait + item.late_ms + _OUTPUT_MS
        for item, wait in zip(silences, waits, strict=True)
        if item.is_end
    ]
    pauses = [(i.length_ms, w) for i, w in zip(silences, waits, strict=True) if not i.is_end]
    cut = sum(wait + _OUTPUT_MS < length_ms for length_ms, wait in pauses)
    return {
        "eagerness": eagerness,
        "latency_p50_ms": round(float(np.median(ends))),
        "latency_mean_ms": round(float(np.mean(ends))),
        "latency_p95_ms": round(float(np.percentile(ends, 95))),
        "pauses": len(pauses),
        "pauses_cut_into": cut,
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("evidence", type=Path, nargs="+")
    parser.add_argument("--write", action="store_true", help=f"write {_FILE.name}")
    arguments = parser.parse_args()
    rows = [
        json.loads(line)
        for path in arguments.evidence
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    silences = [_silence(row) for row in rows]
    matrix = _matrix(silences)
    is_end = np.array([item.is_end for item in silences])
    lasting = [
        item.length_ms - _QUICKEST_COMMIT_MS
        for item in silences
        if not item.is_end and item.length_ms > _QUICKEST_COMMIT_MS
    ]
    groups = [item.group for item in silences]
    models: list[FusedModel | None] = [None] * len(silences)
    folds = min(_FOLDS, len(set(groups)))
    for train, test in GroupKFold(folds).split(matrix, is_end, groups):
        fold = _fit(matrix[train], is_end[train])
        for index in test:
            models[index] = fold
    held_out = [model for model in models if model is not None]
    log_odds = np.array(
        [model.log_odds(item.evidence) for model, item in zip(held_out, silences, strict=True)]
    )
    probability = 1.0 / (1.0 + np.exp(-log_odds))
    bins = np.clip(np.digitize(probability, _BINS) - 1, 0, len(_BINS) - 2)
    final = _fit(matrix, is_end)
    facts = {
        "model": {
            "intercept": round(final.intercept, 4),
            "weights": {name: round(value, 4) for name, value in final.weights.items()},
            "means": {name: round(value, 4) for name, value in final.means.items()},
            "pause_mean_ms": _PAUSE_MEAN_MS,
            "quickest_commit_ms": _QUICKEST_COMMIT_MS,
            "look_window_s": final.look_window_s,
            "latest_look_ms": _LATEST_LOOK_MS,
            "look_every_ms": _LOOK_EVERY_MS,
        },
        "fitted_to": {
            "silences": len(silences),
            "ends": int(is_end.sum()),
            "pauses": int((~is_end).sum()),
            "speakers": len(set(groups)),
            "pause_mean_ms": round(float(np.mean(lasting))),
        },
        "cross_validated": {
            "area_under_curve": round(float(roc_auc_score(is_end, probability)), 3),
            "log_loss": round(float(log_loss(is_end, probability)), 3),
            "brier_score": round(float(brier_score_loss(is_end, probability)), 3),
            "reliability": [
                {
                    "from": _BINS[index],
                    "to": _BINS[index + 1],
                    "silences": int((bins == index).sum()),
                    "predicted": round(float(probability[bins == index].mean()), 3),
                    "ended": round(float(is_end[bins == index].mean()), 3),
                }
                for index in range(len(_BINS) - 1)
                if (bins == index).any()
            ],
            "waits": [_policy(silences, held_out, eagerness) for eagerness in _EAGERNESS],
        },
    }
    print(json.dumps(facts, indent=2))
    if arguments.write:
        _FILE.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
