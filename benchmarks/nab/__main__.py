"""Detection on labelled series of the Numenta Anomaly Benchmark. One JSON object a line, progress on standard error.

    python -m benchmarks.nab DIR                    ours and its peers on the corpus in DIR
    python -m benchmarks.nab DIR --only spendwatch  ours alone
    python -m benchmarks.nab DIR --scores FOLDER    score result files: FOLDER/<category>/<name>.csv

DIR holds data/<category>/<name>.csv and labels.json; without it, the two series that the tests use. docs/detection.md
says what the numbers mean.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.nab.contenders import CONTENDERS, OURS
from benchmarks.nab.corpus import CorpusError, Series, read_corpus, read_scores
from benchmarks.nab.scoring import PROFILES, STANDARD, Outcome, Sweep, jackknife, without_each_family

SAMPLES = Path(__file__).parents[2] / "tests" / "data" / "nab"
SHIPPED = 0.5
"""What `spendwatch score` calls an anomaly."""


def measure(name: str, corpus: Sequence[Series]) -> tuple[list[list[float]], dict[str, object]]:
    """The scores of a contender, and what they cost: CPU time, since others may run beside it."""
    scores, sizes, seconds = [], [], 0.0
    for series in corpus:
        contender = CONTENDERS[name]()
        begin = time.process_time()
        scores.append([contender.score(value, at) for value, at in zip(series.values, series.times, strict=True)])
        seconds += time.process_time() - begin
        sizes.append(contender.state_bytes())
    rows = sum(len(series.values) for series in corpus)
    return scores, {"us_per_point": round(1e6 * seconds / rows, 1), "state_bytes": max(sizes)}


def describe(
    name: str, corpus: Sequence[Series], scores: Sequence[Sequence[float]], *, ours: bool
) -> dict[str, object]:
    sweep = Sweep(corpus, scores)
    line: dict[str, object] = {"name": name, "series": len(corpus), "windows": sweep.windows}
    line["optimum"] = {profile.name: _show(sweep.best(profile)) for profile in PROFILES}
    if ours:
        line["shipped"] = {profile.name: _show(sweep.at(SHIPPED, profile)) for profile in PROFILES}
        if len(corpus) > 1:
            error, lowest = jackknife(corpus, scores, SHIPPED)
            line["shipped_jackknife"] = {"standard_error": round(error, 2), "lowest": round(lowest, 2)}
            families = without_each_family(corpus, scores)
            line["families_at_the_threshold_of_the_others"] = {
                family: {"score": round(score, 2), "threshold": round(threshold, 4)}
                for family, (score, threshold) in families.items()
            }
    return line


def _show(outcome: Outcome) -> dict[str, object]:
    return {
        "score": round(outcome.score, 2),
        "threshold": round(min(outcome.threshold, 1.0), 6),
        "caught": outcome.caught,
        "false_rows": outcome.false_rows,
    }


def _show_series(corpus: Sequence[Series], scores: Sequence[Sequence[float]]) -> None:
    for series, given in zip(corpus, scores, strict=True):
        outcome = Sweep([series], [given]).at(SHIPPED, STANDARD)
        line = {"series": series.name, "windows": outcome.windows, "caught": outcome.caught}
        print(json.dumps({**line, "false_rows": outcome.false_rows}), flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.nab", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", nargs="?", type=Path, default=SAMPLES, metavar="DIR")
    parser.add_argument("--only", default=",".join(CONTENDERS), metavar="NAME,...", help=f"of {', '.join(CONTENDERS)}")
    parser.add_argument("--scores", type=Path, metavar="FOLDER", help="result files instead of contenders")
    parser.add_argument("--series", action="store_true", help="a line for each series, at the shipped threshold")
    chosen = parser.parse_args()
    names = chosen.only.split(",")
    if unknown := sorted(set(names) - set(CONTENDERS)):
        parser.error(f"unknown: {', '.join(unknown)}; known are {', '.join(CONTENDERS)}")
    try:
        corpus = read_corpus(chosen.folder)
        if chosen.scores is not None:
            scores = [read_scores(chosen.scores, series) for series in corpus]
            print(json.dumps(describe(str(chosen.scores), corpus, scores, ours=True)), flush=True)
            return 0
    except CorpusError as error:
        print(f"benchmarks.nab: {error}", file=sys.stderr)
        return 2
    for name in names:
        print(f"{name} on {len(corpus)} series", file=sys.stderr)
        scores, cost = measure(name, corpus)
        if chosen.series:
            _show_series(corpus, scores)
        print(json.dumps({**describe(name, corpus, scores, ours=name == OURS), **cost}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
