import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from benchmarks import dots
from benchmarks import switching_experiment as experiment
from configs import vqvae_experiment
from sr_jax import models


def parameters(variant, changes):
    config = vqvae_experiment.get_config(variant)
    config.update_from_flattened_dict(changes)
    model = models.make(config.model)
    shapes = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 16, 16, 3)))
    return sum(x.size for x in jax.tree.leaves(shapes['params']))


def test_the_widened_network_has_as_many_parameters_as_the_switched_one():
    wide, switched = parameters('dense', experiment.WIDE), parameters('switched', {})
    assert (wide, switched) == (762_104, 762_707)


@pytest.mark.parametrize('name', experiment.ROWS)
def test_a_row_changes_keys_that_exist_and_names_rows_that_exist(name):
    row = experiment.ROWS[name]
    config = vqvae_experiment.get_config(row.variant)
    config.update_from_flattened_dict(row.changes)
    control = vqvae_experiment.get_config('dense')
    control.update_from_flattened_dict(experiment.ROWS[row.control].changes)
    assert config.train.steps == control.train.steps < 4000
    assert row.start in ('', experiment.STAGE_1, experiment.WIDENED)
    assert set(config.model.switching.layers) <= set(vqvae_experiment.LAYERS)


def write_run(folder, mse, commitment, kernels):
    (folder / 'checkpoints').mkdir(parents=True)
    loss = {'reconstruction_weight': 1.0, 'commitment_weight': 0.25}
    (folder / 'config.json').write_text(json.dumps({'train': {'steps': 4}, 'loss': loss}))
    lines = [
        {'event': 'train', 'step': 4, 'loss': 1.0},
        {'event': 'validation', 'step': 2, 'mse': 9.0, 'commitment': 9.0},
        {'event': 'validation', 'step': 4, 'mse': mse, 'commitment': commitment, **kernels},
    ]
    (folder / 'metrics.jsonl').write_text('\n'.join(map(json.dumps, lines)))


def test_the_table_of_runs_as_they_stand(tmp_path):
    used = {'kernels/decoder/conv': 2.0, 'kernels/encoder_top/conv': 3.5}
    write_run(tmp_path / 'dense_0', 0.004, 0.0, {})
    write_run(tmp_path / 'dense_1', 0.008, 0.0, {})
    write_run(tmp_path / 'switched_0', 0.004, 0.064, used)
    write_run(tmp_path / 'switched_1', 0.008, 0.0, used)
    write_run(tmp_path / 'wide_0', 0.002, 0.0, {})
    (tmp_path / 'wide_0' / 'config.json').write_text('{"train": {"steps": 8}}')  # not yet done
    table = experiment.gather(tmp_path, [0, 1, 2])
    np.testing.assert_allclose(experiment.ratios(table, 'switched'), [2, 1])
    lines = experiment.markdown(table).splitlines()
    expected = '| 2 | 32.00 ± 0.00 | 1.500 ± 0.707 | 6.00 ± 2.83 | 32.00 ± 45.25 | 2.0 to 3.5 |'
    assert f'| (b) switched {expected}' in lines
    assert any('(c) dense' in line and 'not run' in line for line in lines)
    points = experiment.points(table)
    np.testing.assert_allclose(points['(b) switched'], [2, 1])
    dots.draw(points, 'ratios', tmp_path / 'figure.png')
    with Image.open(tmp_path / 'figure.png') as figure:
        assert figure.width > 500
