import importlib
import json

import jax
import pytest

from benchmarks import seeing_experiment as experiment
from benchmarks.seeing_rows import TABLES
from sr_jax import models


def config_of(row, runs):
    module = importlib.import_module(row.kind.config.removesuffix('.py').replace('/', '.'))
    config = module.get_config()
    with config.ignore_type():
        config.update_from_flattened_dict(experiment.changes(row, 1, runs))
    return config


def parameters(config):
    config.model.classes = 10
    module = models.make(config.model)
    shapes = jax.eval_shape(module.init, jax.random.key(0), module.example(1))
    return sum(x.size for x in jax.tree.leaves(shapes['params']))


@pytest.mark.parametrize('name', TABLES)
def test_rows_change_keys_that_exist_and_begin_with_rows_before_them(name, tmp_path):
    rows, seen = TABLES[name], []
    for key, row in rows.items():
        config = config_of(row, tmp_path)
        assert config.train.steps == (row.kind.changes | row.changes)['train.steps']
        assert {row.start, row.latents} <= {'', *seen}
        assert row.control in ('', *rows)
        assert bool(config.train.start_from) == bool(row.start)
        if row.latents:
            assert config.selectors.source == str(tmp_path / f'{row.latents}_1')
        seen.append(key)


@pytest.mark.parametrize('name', ['classify_50', 'segment'])
def test_the_wide_network_has_no_fewer_parameters_than_the_switched_one(name, tmp_path):
    rows = TABLES[name]
    dense, wide, switched = (
        parameters(config_of(rows[key], tmp_path)) for key in ('dense', 'wide', 'switched')
    )
    assert dense < switched <= wide < 1.3 * switched


def test_tables_are_of_the_runs_that_are_complete(tmp_path):
    rows = TABLES['segment']
    values = {'dense_0': 0.4, 'dense_1': 0.3, 'switched_0': 0.5, 'switched_1': 0.7, 'wide_2': 0.9}
    values['pixpro_1'] = 0.6
    for name, value in values.items():
        folder = tmp_path / name
        (folder / 'checkpoints').mkdir(parents=True)
        (folder / 'config.json').write_text('{"train": {"steps": 4}}')
        line = {'event': 'validation', 'step': 4, rows[name[:-2]].kind.metric: value}
        if name.startswith('switched'):
            line |= {'told/a': 0.25, 'kernels/a': 2.0 + value, 'kernels/b': 3.5}
        (folder / 'metrics.jsonl').write_text(json.dumps(line))
        log = 'a new run in x: 12,345 parameters, 1 device(s)\n'
        folder.with_suffix('.log').write_text(log)
    lines = experiment.markdown(rows, tmp_path, [0, 1, 2]).splitlines()
    heads = [line.split(' | ')[2] for line in lines[::6]]
    assert heads == ['mean_iou, by seed', 'agreement, by seed']
    assert lines[2:6] == [
        '| dense | 12,345 | 0.400, 0.300 | 0.350 ± 0.071 |  |  |  |',
        '| dense, of as many parameters | 12,345 | 0.900 | 0.900 |  |  |  |',
        '| switched, from scratch | 12,345 | 0.500, 0.700 | 0.600 ± 0.141 | 0.250 ± 0.212 '
        '| 2.5 to 3.5 | 0.250 |',
        '',
    ]
    assert lines[8:] == ['| PixPro | 12,345 | 0.600 | 0.600 |  |  |  |']


def test_encoders_that_are_compared_are_alike(tmp_path):
    rows = TABLES['pretraining']
    shapes = set()
    for row in rows.values():
        model = config_of(row, tmp_path).model
        shapes.add((model.depth, model.features, model.get('stem', 'small')))
    assert shapes == {(10, 8, 'small')}
    assert {row.part for row in rows.values() if row.start} == {'backbone'}
