import functools
import importlib
import json

import jax
import pytest

from benchmarks import generative_experiment as experiment
from benchmarks.generative_rows import tables
from sr_jax import models

NETWORKS = {'stylegan': ('generator', 'discriminator'), 'regression': ('model',)}
NETWORKS['gan'] = NETWORKS['stylegan']
TABLES = tables()
ROWS = {name: row for rows in TABLES.values() for name, row in rows.items()}


def config_of(row, runs):
    module = importlib.import_module(row.config.removesuffix('.py').replace('/', '.'))
    config = module.get_config()
    with config.ignore_type():
        changes = experiment.changes(row, 1, 'photos', runs)
        for key in changes:
            functools.reduce(lambda section, name: section[name], key.split('.'), config)
        config.update_from_flattened_dict(changes)
    return config


@pytest.mark.parametrize('name', ROWS)
def test_rows_are_valid_and_begin_with_rows_before_them(name, tmp_path):
    row, names = ROWS[name], list(ROWS)
    config = config_of(row, tmp_path)
    assert bool(config.train.start_from) == bool(row.start)
    assert set(row.start) <= set(NETWORKS[config.task])
    before = names[: names.index(name)]
    assert {start.partition('#')[0] for start in row.start.values()} <= set(before)


def parameters(name, runs):
    module = models.make(config_of(ROWS[name], runs).model)
    shapes = jax.eval_shape(module.init, jax.random.key(0), module.example(1))
    return sum(x.size for x in jax.tree.leaves(shapes['params']))


@pytest.mark.slow
@pytest.mark.parametrize(('first', 'second'), [('switched', 'wide'), ('rrdb', 'glean')])
def test_networks_that_are_compared_have_about_as_many_parameters(first, second, tmp_path):
    counts = [parameters(name, tmp_path) for name in (first, second)]
    assert counts[0] == pytest.approx(counts[1], rel=0.1)


def test_a_row_begins_with_runs_of_its_seed(tmp_path):
    start = experiment.changes(ROWS['converted'], 1, 'photos', tmp_path)['train.start_from']
    run = (tmp_path / 'dense_1').resolve()
    assert start == str({'generator': str(run), 'discriminator': f'{run}#discriminator'})


def test_rows_can_be_so_many_times_as_long(tmp_path):
    once, thrice = (
        experiment.changes(ROWS['dense_on'], 1, 'photos', tmp_path, times) for times in (1, 3)
    )
    for key in ('train.steps', 'evaluation.every'):
        assert thrice[key] == 3 * once[key]


def test_crops_can_be_of_another_size(tmp_path):
    rows = tables(64)
    found = experiment.changes(rows['style']['converted'], 1, 'photos', tmp_path)
    assert found['data.crop_size'] == found['model.size'] == found['discriminator.size'] == 64
    assert {name.split('/')[0] for name in found['model.switching.layers']} == {
        'up_32', 'conv_32', 'up_64', 'conv_64'
    }  # fmt: skip
    found = experiment.changes(rows['glean']['glean'], 1, 'photos', tmp_path)
    assert (found['model.in_size'], found['model.size']) == (16, 64)
    assert found['model.channel_base'] // 64 == 16


def test_the_table_of_distances(tmp_path):
    for seed, values in ((0, (9.0, 5.0)), (2, (8.0, 6.5))):
        folder = tmp_path / f'dense_{seed}'
        (folder / 'checkpoints').mkdir(parents=True)
        (folder / 'config.json').write_text('{"train": {"steps": 4}}')
        lines = [{'event': 'train', 'step': 4, 'r1': 0.5, 'path_length': 0.25 + seed}]
        lines += [
            {'event': 'validation', 'step': 2 + 2 * i, 'frechet': value}
            for i, value in enumerate(values)
        ]
        (folder / 'metrics.jsonl').write_text('\n'.join(map(json.dumps, lines)))
        log = 'a new run in x: 12,345 parameters, 1 device(s)\n'
        folder.with_suffix('.log').write_text(log)
    table = experiment.style_table(TABLES['style'], tmp_path, [0, 1, 2]).splitlines()
    assert table[2:] == [
        '| dense | 12,345 | 2 | 9.00, 8.00 | 8.50 |  |  |',
        '| dense | 12,345 | 4 | 5.00, 6.50 | 5.75 | 0.500, 0.500 | 0.250, 2.250 |',
    ]
