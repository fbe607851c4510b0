"""The tables of `sr_experiment.py`: means and standard deviations over seeds, parameters, FLOPs."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.experiments import complete, spread
from configs import sr_experiment
from sr_jax import models, tasks
from sr_jax.checkpoints.run import abstract_tree
from sr_jax.devices import sharding

BATCH = 16
COLUMNS = {  # name of the measure: (heading, factor, digits)
    'psnr': ('PSNR, dB', 1, 2),
    'ssim': ('SSIM', 1, 4),
    'l1': ('L1, 1e-3', 1e3, 2),
    'vgg/conv2_2': ('VGG conv2_2', 1, 3),
    'vgg/conv5_3': ('VGG conv5_3', 1, 4),
    'flat_error': ('flat error', 1, 3),
    'detail': ('detail', 1, 3),
    'inconsistency': ('inconsistency', 1, 3),
}
COMPARED = 'vgg/conv5_3'
COSTS = 'costs.json'


def gather(rows: Mapping[str, Any], runs: Path, seeds: list[int]) -> dict[str, Any]:
    """The numbers of all rows whose runs have been measured: {row: {seed: {measure: number}}}."""
    table: dict[str, Any] = {}
    for name in rows:
        folders = {seed: runs / f'{name}_{seed}' for seed in seeds}
        table[name] = {
            seed: json.loads((folder / 'measures.json').read_text())
            for seed, folder in folders.items()
            if complete(folder) and (folder / 'measures.json').exists()
        }
    return table


def markdown(table: Mapping[str, Any], rows: Mapping[str, Any], reference: Mapping) -> str:
    """The tables one after another, each with the line of what needs no network at its top."""
    parts = []
    for title in dict.fromkeys(row.table for row in rows.values()):
        headings = [heading for heading, _, _ in COLUMNS.values()]
        lines = [
            f'| {" | ".join(["row", "seeds", *headings, "conv5_3 to its control"])} |',
            '|' + '---|' * (len(headings) + 3),
            f'| {" | ".join(["bicubic enlargement", "", *cells([reference]), ""])} |',
        ]
        for name, row in rows.items():
            if row.table == title:
                lines.append(line(table, rows, name))
        parts.append('\n'.join(lines) + '\n')
    return '\n'.join(parts)


def line(table: Mapping[str, Any], rows: Mapping[str, Any], name: str) -> str:
    """A line of a table."""
    runs = list(table[name].values())
    if not runs:
        return f'| {rows[name].title} | not run |' + ' |' * (len(COLUMNS) + 1)
    found = ratios(table, rows, name)
    compared = spread(found, 4) if found else ''
    return f'| {" | ".join([rows[name].title, str(len(runs)), *cells(runs), compared])} |'


def cells(runs: list[Mapping[str, float]]) -> list[str]:
    """Mean and standard deviation over the runs, of each measure."""
    return [
        spread([factor * numbers[key] for numbers in runs], digits)
        for key, (_, factor, digits) in COLUMNS.items()
    ]


def ratios(table: Mapping[str, Any], rows: Mapping[str, Any], name: str) -> list[float]:
    """VGG16's distances over those of the row's control with the same seeds; [] without one."""
    control = table.get(rows[name].control, {})
    return [
        numbers[COMPARED] / control[s][COMPARED]
        for s, numbers in table[name].items()
        if s in control
    ]


def costs(rows: Mapping[str, Any], runs: Path) -> str:
    """A table of what the networks cost: parameters, and GFLOP for each image of 16 x 16 pixels.

    Reckoned by XLA of the compiled function, which counts the body of a loop once.
    """
    path = runs / COSTS
    found = json.loads(path.read_text()) if path.exists() else {}
    for name, row in rows.items():
        if row.table == 'network' and name not in found:
            found[name] = cost(row)
    path.write_text(json.dumps(found, indent=2) + '\n')
    lines = ['| row | parameters | forward, GFLOP | training, GFLOP |', '|---|---|---|---|']
    for name, (count, forward, training) in found.items():
        lines.append(f'| {rows[name].title} | {count:,} | {forward:.3f} | {training:.3f} |')
    return '\n'.join(lines) + '\n'


def cost(row: Any) -> tuple[int, float, float]:
    """Parameters, GFLOP of the forward pass and of a training step, for each image."""
    config = sr_experiment.get_config(row.variant)
    config.update_from_flattened_dict(row.changes)
    model, task = models.make(config.model), tasks.make(config)
    side = config.data.crop_size
    lq = jax.ShapeDtypeStruct((BATCH, side // model.scale, side // model.scale, 3), jnp.float32)
    variables = dict(jax.eval_shape(model.init, jax.random.key(0), lq))
    variables.pop('intermediates', None)
    forward = jax.jit(model.apply).lower(variables, lq).compile()
    mesh = sharding.make_mesh(jax.devices()[:1])
    tree = abstract_tree(task, mesh)
    batch = {'hq': jax.ShapeDtypeStruct((BATCH, side, side, 3), jnp.float32)}
    step = sharding.jit_step(task.train_step, mesh).lower(tree, batch).compile()
    count = sum(leaf.size for leaf in jax.tree.leaves(variables['params']))
    flops = [compiled.cost_analysis()['flops'] / BATCH / 1e9 for compiled in (forward, step)]
    return count, flops[0], flops[1]


def points(table: Mapping[str, Any], rows: Mapping[str, Any]) -> dict[str, list[float]]:
    """The ratios of each row that has another one for its control, by its title."""
    compared = {name: row for name, row in rows.items() if row.control not in ('', name)}
    return {row.title: ratios(table, rows, name) for name, row in compared.items()}
