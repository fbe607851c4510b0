"""What a run has written of itself is read while it writes."""

from sr_jax.training.history import find_samples, list_runs, read_curves


def write(folder, *lines):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / 'metrics.jsonl').write_text('\n'.join(lines), encoding='utf-8')
    return folder


def test_curves_by_name_the_later_of_a_step_and_no_half_line(tmp_path):
    run = write(
        tmp_path / 'run',
        '{"event": "train", "step": 1, "loss": 4.0, "note": "x"}',
        '{"event": "train", "step": 3, "loss": 9}',
        '{"event": "validation", "step": 3, "psnr": 20.5, "ssim": null}',
        '{"event": "tra',
        '{"event": "train", "step": 2, "loss": 3.0}',
        '{"event": "train", "step": 3, "loss": 2.0}',
        '[1]',
        '{"event": "train", "step": "4", "loss": 2.0}',
        '{"event": "train", "step": 4, "lo',
    )
    assert read_curves(run) == {
        'train/loss': [(1, 4.0), (2, 3.0), (3, 2.0)],
        'validation/psnr': [(3, 20.5)],
    }
    assert read_curves(tmp_path) == {}


def test_long_curves_are_thinned(tmp_path):
    lines = [f'{{"event": "train", "step": {i}, "loss": {i}.5}}' for i in range(1000)]
    (points,) = read_curves(write(tmp_path, *lines), most=7).values()
    assert len(points) == 7
    assert (points[0], points[-1]) == ((0, 0.5), (999, 999.5))


def test_samples_and_runs_are_listed(tmp_path):
    run = write(tmp_path / 'run')
    (tmp_path / 'other' / 'checkpoints').mkdir(parents=True)
    (tmp_path / 'no_run').mkdir()
    for name in ('00000010.png', '00000002.png', 'x.png', '3.txt'):
        (run / 'samples').mkdir(exist_ok=True)
        (run / 'samples' / name).touch()
    assert [path.name for path in find_samples(run)] == ['00000002.png', '00000010.png']
    assert sorted(list_runs(tmp_path)) == ['other', 'run']
    assert list_runs(tmp_path / 'missing') == []
