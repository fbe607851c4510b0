"""What a run has written of itself, read while it goes on: its curves and its samples."""

import json
import math
from pathlib import Path
from typing import Any

Curves = dict[str, list[tuple[int, float]]]

METRICS, SAMPLES = 'metrics.jsonl', 'samples'


def read_curves(workdir: Path, most: int = 400) -> Curves:
    """Reads the metrics of a run by name, as 'train/loss', each with its steps, ascending.

    Of steps that were done twice, after a crash, the later ones count; the half line of a run at
    work is left out.

    Args:
      workdir: the run's folder.
      most: points of a curve; of more, such that lie evenly.
    """
    found: dict[str, dict[int, float]] = {}
    path = workdir / METRICS
    lines = path.read_text(encoding='utf-8').splitlines() if path.is_file() else []
    for line in lines:
        try:
            record = json.loads(line)
        except ValueError:
            continue
        for name, value in _values(record):
            found.setdefault(name, {})[record['step']] = value
    return {name: _thin(sorted(points.items()), most) for name, points in found.items()}


def find_samples(workdir: Path) -> list[Path]:
    """The sheets of samples that a run has drawn, the oldest first."""
    return sorted((workdir / SAMPLES).glob('[0-9]*.png'))


def list_runs(folder: Path) -> list[str]:
    """The names of the runs in a folder, the newest first."""
    if not folder.is_dir():
        return []
    runs = [path for path in folder.iterdir() if _is_run(path)]
    return [path.name for path in sorted(runs, key=lambda path: -path.stat().st_mtime)]


def _is_run(path: Path) -> bool:
    return (path / METRICS).is_file() or (path / 'checkpoints').is_dir()


def _values(record: Any) -> list[tuple[str, float]]:
    if not isinstance(record, dict) or not isinstance(record.get('step'), int):
        return []
    event = record.get('event')
    return [
        (f'{event}/{name}', float(value))
        for name, value in record.items()
        if name not in ('event', 'step')
        and isinstance(value, int | float)
        and not isinstance(value, bool)
        and math.isfinite(value)
    ]


def _thin(points: list[tuple[int, float]], most: int) -> list[tuple[int, float]]:
    """At most so many points, the first and the last among them."""
    if len(points) <= most:
        return points
    return [points[round(i * (len(points) - 1) / (most - 1))] for i in range(most)]
