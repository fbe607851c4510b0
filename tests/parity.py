"""Networks against golden fixtures: values, gradients, and the variables afterwards."""

import functools

import jax
import jax.numpy as jnp
import numpy as np


def part(arrays, *prefixes):
    """The arrays whose names begin with one of the prefixes, without it."""
    return {
        name.removeprefix(prefix): value
        for prefix in prefixes
        for name, value in arrays.items()
        if name.startswith(prefix)
    }


def nhwc(x):
    """Images in our layout, float32; other arrays as they are."""
    x = np.asarray(x)
    if x.ndim == 4:
        x = np.ascontiguousarray(x.transpose(0, 2, 3, 1), np.float32)
    return jnp.asarray(x)


def assert_close(actual, expected, rtol=1e-4, name='', scale=None):
    """Compares at a tolerance relative to `scale`, by default the largest value expected."""
    scale = scale or max(np.abs(expected).max(), 1e-8)
    np.testing.assert_allclose(actual, expected, rtol=rtol, atol=rtol * scale, err_msg=name)


def error(actual, expected, least=1e-8):
    """The largest error, relative to the largest value expected or to `least`."""
    assert actual.shape == expected.shape
    return np.abs(np.asarray(actual) - expected).max() / max(np.abs(expected).max(), least)


def errors(arrays, weights, model, train=False, mutable=()):
    """The errors of the output, of gradients and of changed variables, by name.

    Gradients of which nothing but rounding is left are measured by the largest of all gradients.
    """
    variables = weights.from_torch(part(arrays, 'param/', 'buffer/'))
    apply = functools.partial(model.apply, train=train, mutable=list(mutable))

    def output(params, x):
        return apply({**variables, 'params': params}, x)

    @jax.jit
    def run(params, x, cotangent):
        y, pull_back, changed = jax.vjp(output, params, x, has_aux=True)
        return y, pull_back(cotangent), changed

    y, (gradients, gradient_x), changed = run(
        variables['params'], nhwc(arrays['in/x']), nhwc(arrays['cotangent'])
    )
    found = {'out/y': error(y, nhwc(arrays['out/y']))}
    found['grad/in/x'] = error(gradient_x, nhwc(arrays['grad/in/x']))
    expected = part(arrays, 'grad/param/')
    actual = weights.to_torch({**variables, 'params': gradients})
    assert expected.keys() == {name for name in actual if f'param/{name}' in arrays}
    largest = max(np.abs(value).max() for value in expected.values())
    for name, value in expected.items():
        found[f'grad/{name}'] = error(actual[name], value, 1e-3 * largest)
    after = weights.to_torch({**variables, **changed})
    for name, value in part(arrays, 'buffer_after/').items():
        if not name.endswith('num_batches_tracked'):
            found[f'after/{name}'] = error(after[name], value)
    return found


def assert_parity(found, rtol=1e-4, gradients_rtol=1e-3):
    """Holds the errors that `errors` found to the tolerances."""
    wrong = {
        name: value
        for name, value in found.items()
        if not value <= (gradients_rtol if name.startswith('grad/') else rtol)
    }
    assert not wrong, wrong


def assert_exact(lowered):
    """Holds every convolution and product of a lowered function to float32's full precision."""
    products = [
        line
        for line in lowered.splitlines()
        if 'stablehlo.convolution' in line or 'stablehlo.dot_general' in line
    ]
    assert products
    wrong = [line for line in products if line.count('HIGHEST') != 2]
    assert not wrong, wrong[0]
