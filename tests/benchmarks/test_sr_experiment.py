import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks import sr_experiment as experiment
from benchmarks import sr_measures, sr_tables
from configs import sr_experiment as configs
from sr_jax.config.settings import DataSettings
from sr_jax.images.resize import imresize


def config_of(name):
    row = experiment.ROWS[name]
    config = configs.get_config(row.variant)
    config.update_from_flattened_dict(row.changes)
    return config


@pytest.mark.parametrize('name', experiment.ROWS)
def test_a_row_changes_keys_that_exist_and_starts_from_a_row_before_it(name):
    row, names = experiment.ROWS[name], list(experiment.ROWS)
    config = config_of(name)
    if row.start:
        assert names.index(row.start) < names.index(name)
        start = config_of(row.start)
        assert (config.model.name, config.model.features) == (start.model.name, 16)
    assert row.control in names
    assert experiment.ROWS[row.control].table == row.table


def test_budgets_are_equal():
    steps = {name: config_of(name).train.steps for name in experiment.ROWS}
    half = steps['dense_half']
    for name in ('dense', 'switched', 'switched_low'):
        assert half + steps[name] == steps['rrdb']
    further = ('gan_on', 'gan_less', 'translational', 'translational_5')
    assert len({steps[name] for name in further}) == 1
    sizes = {name: config_of(name).train.batch_size for name in steps}
    assert steps['batch_8'] == steps['batch_16'] == steps['batch_64']
    images = {name: sizes[name] * steps[name] for name in steps}
    assert images['batch_8_long'] == images['batch_16_long'] == images['batch_64']
    rates = {config_of(n).optimizer.learning_rate for n in steps if n.startswith('batch')}
    assert len(rates) == 1


def numbers(distance):
    return dict.fromkeys(sr_tables.COLUMNS, 0.5) | {sr_tables.COMPARED: distance}


def write_run(folder, distance):
    (folder / 'checkpoints').mkdir(parents=True)
    (folder / 'config.json').write_text('{"train": {"steps": 4}}')
    (folder / 'metrics.jsonl').write_text('{"event": "validation", "step": 4}')
    (folder / 'measures.json').write_text(json.dumps(numbers(distance)))


def test_the_tables_of_runs_as_they_stand(tmp_path):
    for name, distances in {'gan_on': (2.0, 4.0), 'translational': (1.0, 4.0)}.items():
        for seed, distance in enumerate(distances):
            write_run(tmp_path / f'{name}_{seed}', distance)
    write_run(tmp_path / 'rrdb_0', 1.0)
    (tmp_path / 'rrdb_0' / 'config.json').write_text('{"train": {"steps": 8}}')  # not yet done
    table = sr_tables.gather(experiment.ROWS, tmp_path, [0, 1, 2])
    assert table['rrdb'] == {}
    found = sr_tables.points(table, experiment.ROWS)
    title = experiment.ROWS['translational'].title
    np.testing.assert_allclose(found[title], [0.5, 1])
    lines = sr_tables.markdown(table, experiment.ROWS, numbers(3.0)).splitlines()
    (line,) = (line for line in lines if line.startswith(f'| {title} |'))
    assert line.startswith(f'| {title} | 2 | 0.50 ± 0.00 | 0.5000 ± 0.0000 | 500.00 ± 0.00 |')
    assert '| 2.5000 ± 2.1213 |' in line and line.endswith('| 0.7500 ± 0.3536 |')
    assert sum('not run' in line for line in lines) == len(experiment.ROWS) - 2
    assert sum(line.startswith('| bicubic') for line in lines) == 3


def photographs():
    fields = dict.fromkeys(('crop_size', 'workers', 'cache_bytes', 'max_rejected'), 1)
    data = DataSettings(
        'photos',
        '',
        flips=False,
        rotations=False,
        validation_fraction=0.1,
        validation_crops=1,
        **fields,
    )
    return sr_measures.true_crops(data)


def test_inconsistency_is_of_what_depends_on_the_crop(monkeypatch):
    lq = sr_measures.small(photographs()[: sr_measures.BATCH])
    nearest = jax.jit(lambda lq: lq.repeat(4, axis=1).repeat(4, axis=2))
    assert sr_measures.inconsistency(nearest, lq) == 0
    brighter_at_left = jax.jit(
        lambda lq: nearest(lq) + jnp.linspace(0.5, 0, 4 * lq.shape[2])[None, None, :, None]
    )
    # corners are 32 pixels apart, and 4 of the 6 pairs lie side by side or across
    expected = 255 * 0.5 * 32 / 63 * 4 / 6
    assert sr_measures.inconsistency(brighter_at_left, lq) == pytest.approx(expected, rel=1e-4)


def test_the_numbers_of_a_sharper_image_are_better(monkeypatch):
    monkeypatch.setattr(sr_measures, 'vgg_distances', lambda image, hq: {'vgg/conv5_3': 0.0})
    truth = photographs()
    cubic = sr_measures.measures(jax.jit(lambda lq: jnp.clip(imresize(lq, 4), 0, 1)), truth)
    nearest = sr_measures.measures(lambda lq: lq.repeat(4, axis=1).repeat(4, axis=2), truth)
    assert cubic['psnr'] > nearest['psnr'] and cubic['ssim'] > nearest['ssim']
    assert cubic['l1'] < nearest['l1'] and cubic['flat_error'] < nearest['flat_error']
    assert 0 < cubic['detail'] < 1


def test_a_run_is_measured_once(tmp_path, monkeypatch):
    monkeypatch.setattr(sr_measures, 'predictions', lambda workdir: (None, None))
    monkeypatch.setattr(sr_measures, 'measures', lambda enlarged, truth: {'psnr': 30.0})
    assert sr_measures.measured(tmp_path) == {'psnr': 30.0}
    monkeypatch.setattr(sr_measures, 'measures', None)
    assert sr_measures.measured(tmp_path) == {'psnr': 30.0}
