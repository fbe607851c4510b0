import json

import numpy as np
import pytest

from benchmarks import video_experiment as experiment
from benchmarks import video_measures as measures
from benchmarks.video_rows import TABLES, VARIANTS, get_config
from sr_jax import tasks


@pytest.mark.parametrize('variant', VARIANTS)
def test_rows_are_tasks_and_begin_with_rows_before_them(variant):
    config = get_config(variant)
    single = config.task != 'video'
    config.data.source = 'photos' if single else 'moving:photos'
    sizes = {name: x.shape for name, x in tasks.make(config).batch(2).items()}
    assert len(sizes['hq']) == (4 if single else 5)
    table = next(table for table in TABLES.values() if variant in table.rows)
    names = list(table.rows)
    assert table.rows[variant].start in ('', experiment.PUBLISHED, *names[: names.index(variant)])


def test_a_film_that_stays_as_it_is_does_not_drift():
    hq = np.random.default_rng(0).random((2, measures.LONG, 16, 17, 3), np.float32)
    worse = hq.copy()
    worse[:, 60:] *= 0.5
    found = {name: measures.drift(name, x, hq) for name, x in (('same', hq), ('worse', worse))}
    assert set(found['same'].values()) == {0, 1}
    assert found['worse']['worse_mse_30'] == 0 < found['worse']['worse_mse_99']
    assert found['worse']['worse_detail_99'] == pytest.approx(0.5, rel=1e-3)
    still = np.repeat(hq[:, :1], measures.LONG, axis=1)
    assert set(measures.unrest(still).values()) == {0}
    still[:, 60:] += 0.125
    assert measures.unrest(still)['unrest_30'] == 0
    assert measures.unrest(still)['unrest_99'] == pytest.approx(1e4 / 64, rel=1e-4)


def test_tables_are_means_and_deviations_of_what_is_measured(tmp_path):
    table = TABLES['tape']
    for seed, value in ((0, 0.25), (1, 0.75)):
        folder = tmp_path / f'compact_{seed}'
        folder.mkdir()
        keys = [key for key, _, _ in experiment.COLUMNS['frames'].values()]
        (folder / measures.FILE).write_text(json.dumps(dict.fromkeys(keys, value)))
    text = experiment.markdown(table, tmp_path, [0, 1, 2])
    title = table.rows['compact'].title
    assert f'| {title} | 2 | 0.50 ± 0.35 | 0.5000 ± 0.3536 |' in text
    assert len(text.splitlines()) == 5
