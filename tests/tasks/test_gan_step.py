"""A step against a discriminator, beside one that is written down without the task."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import tiny
from adversarial import config_of, images, run, same

from sr_jax import tasks
from sr_jax.models.srresnet import SRResNet
from sr_jax.tasks.task import parameters

KEPT = ['batch_stats', 'spectral_norm']


def relativistic_losses(real, fake):
    """ESRGAN's, equations 1 and 2 of arXiv:1809.00219, halved as in BasicSR; the second one, the
    discriminator's, has no gradient through the averages."""
    mean_real, mean_fake = jax.lax.stop_gradient((real.mean(), fake.mean()))
    high, low = jax.nn.softplus(-(real - mean_fake)), jax.nn.softplus(fake - mean_real)
    wanted = (high.mean() + low.mean()) / 2
    high, low = jax.nn.softplus(real - fake.mean()), jax.nn.softplus(-(fake - real.mean()))
    return (high.mean() + low.mean()) / 2, wanted


def plain_losses(real, fake):
    return jax.nn.softplus(-fake).mean(), (
        jax.nn.softplus(-real).mean() + jax.nn.softplus(fake).mean()
    )


def independent_step(config, state, lq, hq):
    """One step of both networks, written down without the task, as BasicSR has it."""
    settings = config.loss.adversarial
    discriminator, first = (
        tiny.TinyDiscriminator(config.discriminator.batch_norm),
        state['discriminator'].params,
    )
    detach = jax.lax.stop_gradient

    def apply_discriminator(params, variables, x):
        given = {'params': params, **variables}
        logits, new = discriminator.apply(given, x, train=True, mutable=KEPT)
        return logits, {**variables, **new}

    def generator_loss(params):
        fake = SRResNet(scale=4, features=4, num_blocks=1).apply({'params': params}, lq)
        variables = state['discriminator'].variables
        if settings.relativistic:
            real, variables = apply_discriminator(first, variables, hq)
            found, variables = apply_discriminator(first, variables, fake)
            value, _ = relativistic_losses(detach(real), found)
        else:
            found, variables = apply_discriminator(first, variables, fake)
            value, _ = plain_losses(0.0, found)
        total = config.loss.pixel.weight * jnp.abs(fake - hq).mean() + settings.weight * value
        return total, (fake, variables)

    def discriminator_loss(params, variables, fake):
        real, variables = apply_discriminator(params, variables, hq)
        found, variables = apply_discriminator(params, variables, fake)
        if settings.relativistic:
            _, total = relativistic_losses(real, found)
            return total, (variables, total, 0.0, 0.0)
        _, plain = plain_losses(real, found)

        def score(x):
            return discriminator.apply({'params': params, **variables}, x[None], train=True).sum()

        squares = (jax.vmap(jax.grad(score))(hq) ** 2).sum(axis=(1, 2, 3))
        r1, penalty = squares.mean(), ((jnp.sqrt(squares) - 1) ** 2).mean()
        total = plain + settings.r1 * settings.r1_every * r1 + settings.gradient_penalty * penalty
        return total, (variables, plain, r1, penalty)

    (loss, (fake, variables)), gradients = jax.value_and_grad(generator_loss, has_aux=True)(
        state['generator'].params
    )
    gradient = jax.grad(discriminator_loss, has_aux=True)
    wanted, (variables, *values) = gradient(first, variables, fake)
    return {'generator': gradients, 'discriminator': wanted}, variables, loss, values


RELATIVISTIC = dict(loss__adversarial__weight=0.05)
PENALISED = dict(
    batch_norm=False,
    loss__adversarial__weight=0.5,
    loss__adversarial__relativistic=False,
    loss__adversarial__r1=0.3,
    loss__adversarial__r1_every=2,
    loss__adversarial__gradient_penalty=0.7,
)


@pytest.fixture(scope='module', params=[RELATIVISTIC, PENALISED], ids=['esrgan', 'penalties'])
def stepped(request, small_discriminators):
    """A config, its states and metrics over two steps."""
    config = config_of(**request.param)
    states, history, _ = run(config, 2)
    return config, states, history


def test_a_step_is_that_of_basicsr(stepped):
    config, (before, after, _), (metrics, _) = stepped
    task = tasks.make(config)
    lq = task.predict(before['generator'].inference_variables(), images(), jax.random.key(0))['lq']
    independent = jax.jit(lambda state, lq, hq: independent_step(config, state, lq, hq))
    arguments = (before, lq, images()['hq'])
    gradients, variables, loss, values = tiny.compiled(independent, *arguments)(*arguments)
    assert metrics['loss'] == pytest.approx(float(loss), rel=1e-5)
    for name, value in zip(('discriminator', 'r1', 'gradient_penalty'), values, strict=True):
        assert metrics.get(name, 0.0) == pytest.approx(float(value), rel=1e-4), name
    same(after['discriminator'].variables, variables, rtol=1e-4, atol=1e-6)
    for network, gradient in gradients.items():
        moment = optax.tree.get(after[network].opt_state, 'mu')  # after one step (1 - b1) gradient
        largest = max(np.abs(g).max() for g in jax.tree.leaves(gradient))
        expected = jax.tree.map(lambda g: 0.1 * g, gradient)
        same(moment, expected, rtol=1e-3, atol=1e-5 * largest)


def test_the_average_of_the_generator_is_what_predicts(stepped):
    _, (before, after, _), _ = stepped
    expected = jax.tree.map(
        lambda a, b: 0.9 * a + 0.1 * b, before['generator'].params, after['generator'].params
    )
    generator = after['generator']
    same(generator.ema_params, expected, rtol=1e-5, atol=1e-7)
    assert generator.inference_variables() == {'params': generator.ema_params}


def test_r1_is_taken_in_some_updates_only(stepped):
    config, _, history = stepped
    if config.loss.adversarial.r1:
        assert history[0]['r1'] > 0
        assert history[1]['r1'] == 0
        assert history[1]['gradient_penalty'] > 0


def test_every_parameter_has_its_flag(stepped):
    _, (before, *_), history = stepped
    assert history[0]['finite_gradients'].shape == (len(jax.tree.leaves(parameters(before))),)
    assert history[0]['finite_gradients'].all()
