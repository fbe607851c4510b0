import io
import json

import pytest

from sr_jax.training import history
from sr_jax.training.progress import Progress


def test_the_file_of_metrics_has_its_documented_name_and_a_line_for_each_report(tmp_path):
    progress = Progress(tmp_path, 9, stream=io.StringIO())
    progress.begin(0)
    progress.report_steps(4, {'loss': 0.5, 'optimizer/rate': float('inf')})
    progress.report_validation(7, {'psnr': 21.0})
    progress.close()
    assert history.METRICS == 'metrics.jsonl'
    train, validation = map(json.loads, (tmp_path / 'metrics.jsonl').read_text().splitlines())
    assert train.pop('steps_per_second') > 0
    assert train.pop('data_wait') == 0
    assert train == {'event': 'train', 'step': 4, 'loss': 0.5, 'optimizer/rate': None}
    assert validation == {'event': 'validation', 'step': 7, 'psnr': 21.0}


@pytest.mark.parametrize('half', ['', '{"event": "tr', '{"event": "train", "step": 3}\n'])
def test_what_comes_after_a_killed_run_stands_in_a_line_of_its_own(tmp_path, half):
    path = tmp_path / 'metrics.jsonl'
    path.write_text(half)
    progress = Progress(tmp_path, 8, stream=io.StringIO())
    progress.begin(5)
    progress.report_validation(6, {'psnr': 23.0})
    progress.close()
    text = path.read_text()
    assert text.startswith(half)
    assert json.loads(text.splitlines()[-1]) == {'event': 'validation', 'step': 6, 'psnr': 23.0}
