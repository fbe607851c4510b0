import importlib
import json

import jax
import pytest

from benchmarks import seeing_experiment as experiment
from benchmarks.seeing_rows import STAGE_1, TABLES
from sr_jax import models


def config_of(table, row, runs):
    module = importlib.import_module(table.config.removesuffix('.py').replace('/', '.'))
    config = module.get_config()
    with config.ignore_type():
        config.update_from_flattened_dict(experiment.changes(table, row, 1, runs))
    return config


def parameters(config):
    config.model.classes = 10
    module = models.make(config.model)
    shapes = jax.eval_shape(module.init, jax.random.key(0), module.example(1))
    return sum(x.size for x in jax.tree.leaves(shapes['params']))


@pytest.mark.parametrize('name', TABLES)
def test_rows_change_keys_that_exist_and_begin_with_rows_before_them(name, tmp_path):
    table, seen = TABLES[name], []
    for key, row in table.rows.items():
        config = config_of(table, row, tmp_path)
        assert config.train.steps == table.common['train.steps']
        assert row.start in ('', *seen)
        assert bool(config.train.start_from) == bool(row.start)
        seen.append(key)
    assert seen[0] == STAGE_1


def test_the_wide_network_has_no_fewer_parameters_than_the_switched_one(tmp_path):
    table = TABLES['segment']
    counts = {
        key: parameters(config_of(table, table.rows[key], tmp_path))
        for key in (STAGE_1, 'wide', 'switched')
    }
    assert counts[STAGE_1] < counts['switched'] <= counts['wide'] < 1.2 * counts['switched']


def test_a_table_is_of_the_runs_that_are_complete(tmp_path):
    table = TABLES['segment']
    for seed, value in ((0, 0.5), (1, 0.7)):
        folder = tmp_path / f'switched_{seed}'
        (folder / 'checkpoints').mkdir(parents=True)
        (folder / 'config.json').write_text('{"train": {"steps": 4}}')
        line = {'event': 'validation', 'step': 4, 'mean_iou': value, 'told/a': 0.25}
        (folder / 'metrics.jsonl').write_text(json.dumps(line))
        log = 'a new run in x: 12,345 parameters, 1 device(s)\n'
        folder.with_suffix('.log').write_text(log)
    rows = experiment.markdown(table, tmp_path, [0, 1, 2]).splitlines()
    assert rows[2:] == [
        '| switched, from scratch | 12,345 | 0.5000, 0.7000 | 0.6000 | 0.250 |'
    ]
