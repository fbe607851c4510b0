import json

import jax
import numpy as np
import pytest
import tiny

from sr_jax import __main__ as verbs
from sr_jax import tasks
from sr_jax.commands.shared import measures
from sr_jax.devices import sharding
from sr_jax.errors import InputError
from sr_jax.images.files import save_image
from sr_jax.metrics import protocol
from sr_jax.tasks.shared.evaluation import measure_images
from sr_jax.training import validation

pytestmark = pytest.mark.usefixtures('one_device')


def test_the_checkpoint_alone_gives_the_numbers_of_the_training(finished, tmp_path, capsys):
    workdir, result = finished
    target = tmp_path / 'numbers.json'
    assert verbs.main(['evaluate', str(workdir), '--json', str(target)]) == 0
    record = json.loads(target.read_text())
    assert {k: record[k] for k in result.metrics} == pytest.approx(result.metrics)
    shown = capsys.readouterr().out
    assert 'step 4, validation images of photos in crops of 16x16' in shown
    assert 'psnr_rgb_crop0' in shown


def test_how_images_look_is_measured_where_it_is_asked_for(finished, monkeypatch, capsys):
    def metric(image, reference):
        return 0.125

    metric.name = 'lpips_vgg'
    monkeypatch.setattr(measures.lpips, 'load', lambda kind: metric)
    assert verbs.main(['evaluate', str(finished[0]), '--lpips', 'vgg', '--crops', '2']) == 0
    assert 'lpips_vgg          0.125' in capsys.readouterr().out


def test_other_images_protocol_and_step(finished, tmp_path, capsys):
    rng = np.random.default_rng(0)
    for name in 'ab':
        save_image(tmp_path / f'{name}.png', rng.random((16, 32, 3), np.float32))
    checkpoint = finished[0] / 'checkpoints' / '2'
    protocols = 'y_matlab_crop2,rgb_crop1'
    arguments = ['--data', f'folder:{tmp_path}', '--protocol', protocols, '--crops', '4']
    assert verbs.main(['evaluate', str(checkpoint), *arguments]) == 0
    shown = capsys.readouterr().out
    assert 'step 2' in shown
    assert 'ssim_y_matlab_crop2' in shown
    assert 'psnr_rgb_crop1' in shown


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['/nowhere/at/all'], 'no such checkpoint: /nowhere/at/all'),
        (['{run}/samples'], "is not a run: it has no folder 'checkpoints'"),
        (['{run}/checkpoints/3'], 'no such checkpoint: '),
        (['{run}', '--protocol', 'rgb'], "no such protocol: 'rgb'"),
        (['{run}', '--data', 'fotos'], "'photos'"),
        (['{run}', '--data', 'folder:{run}'], 'smaller than the crop'),
    ],
)
def test_bad_input_gets_a_message_and_status_1(arguments, message, finished, tmp_path, capsys):
    if 'folder:' in arguments[-1]:
        save_image(tmp_path / 'small.png', np.zeros((8, 8, 3), np.float32))
        save_image(tmp_path / 'smaller.png', np.zeros((4, 8, 3), np.float32))
        arguments = [*arguments[:-1], f'folder:{tmp_path}']
    arguments = [a.format(run=finished[0]) for a in arguments]
    assert verbs.main(['evaluate', *arguments]) == 1
    error = capsys.readouterr().err
    assert error.startswith('error: ')
    assert message in error


def test_weights_that_are_no_run_are_told_the_verb_that_measures_them(capsys):
    assert verbs.main(['evaluate', 'realesrgan-x4plus']) == 1
    error = capsys.readouterr().err
    assert error.startswith('error: realesrgan-x4plus is no run')
    assert 'sr-jax benchmark SOURCE --weights NETWORK' in error


@pytest.mark.parametrize(
    'arguments',
    [
        ['runs/mine', '--benchmark', 'folder:Set14', '--lpips', 'alex'],
        ['--results', 'enlarged', '--benchmark', 'folder:Set14'],
        ['runs/mine', '--benchmark'],
    ],
)
def test_the_old_form_of_a_benchmark_names_the_new_verb_in_a_line(arguments, capsys):
    with pytest.raises(SystemExit) as done:
        verbs.main(['evaluate', *arguments])
    assert done.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert 'sr-jax benchmark SOURCE --weights NETWORK' in line


def test_images_that_are_not_finite_are_told_by_their_numbers():
    hq = np.full((2, 16, 17, 3), 0.5, np.float32)
    given = [np.zeros_like(hq), np.stack([np.zeros_like(hq[0]), np.full_like(hq[0], np.nan)])]
    batches = [{'hq': hq, 'given': x, 'mask': np.ones(2, np.float32)} for x in given]
    evaluation = measure_images([protocol.parse('rgb_crop0')])
    mesh = sharding.make_mesh(jax.devices()[:1])

    def predict(variables, batch):
        return {'image': batch['given']}

    assert validation.evaluate_batches(predict, {}, batches[:1], evaluation, mesh)['images'] == 2
    batches = [{'mask': np.ones(2, np.float32), **batch} for batch in batches]
    with pytest.raises(InputError, match='validation examples 3 to 4: what .* not finite'):
        validation.evaluate_batches(predict, {}, batches, evaluation, mesh)


def test_masked_images_do_not_count():
    mesh = sharding.make_mesh()
    hq = np.full((4, 16, 16, 3), 0.5, np.float32)
    batch = {'hq': hq, 'mask': np.array([1, 1, 1, 0], np.float32)}

    def predict(variables, batch):
        del variables
        off = np.array([0.0, 0.0, 0.3, 9.0], np.float32)
        counts = np.array([[4, 0], [4, 0], [2, 2], [0, 99]])
        image = batch['hq'] + off[:, None, None, None]
        return {
            'image': image,
            'code_counts': {'top': counts},
            'commitment': np.array([0.1, 0.2, 0.6, 9.0]),
            'choices': {'decoder/conv': np.array([[[0, 0]], [[0, 1]], [[1, 1]], [[2, 2]]])},
        }

    evaluation = tasks.make(tiny.vqvae()).evaluation
    metrics = validation.evaluate_batches(predict, {}, [batch], evaluation, mesh)
    assert metrics['images'] == 3
    np.testing.assert_allclose(metrics['mse'], 0.03, rtol=1e-5)
    assert metrics['psnr_rgb_crop0'] == np.inf
    assert metrics['usage_top'] == 1
    np.testing.assert_allclose(metrics['commitment'], 0.3)
    np.testing.assert_allclose(metrics['kernels/decoder/conv'], 2)  # even use of two
    share = np.array([10, 2]) / 12
    np.testing.assert_allclose(
        metrics['perplexity_top'], np.exp(-np.sum(share * np.log(share))), rtol=1e-6
    )
