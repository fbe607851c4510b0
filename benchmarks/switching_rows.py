"""The rows of `switching_experiment.py`: what is trained from where, and compared with what."""

from typing import Any, NamedTuple

STAGE_1 = 'stage_1'
WIDENED = 'widened'
CONTROL = 'dense'
STEPS = 500
# 762,104 parameters; switched at breadth 8 there are 762,707.
WIDE = {'model.channels': 86, 'model.res_channels': 43}
COSINE = {'optimizer.schedule': 'cosine'}
LOW = {'optimizer.learning_rate': 1e-4}
LONG = {**LOW, **COSINE, 'train.steps': 4 * STEPS}
ENCODERS = (
    'encoder_bottom/down_1',
    'encoder_bottom/conv',
    'encoder_top/down_0',
    'encoder_top/conv',
)
DECODERS = ('decoder_top/conv', 'decoder_top/up_0/conv', 'decoder/conv', 'decoder/up_0/conv')


class Row(NamedTuple):
    """A line of the table.

    Attributes:
      title: what it says there.
      variant: of the config.
      changes: of the config's keys.
      start: the row that it starts from.
      control: the row that it is compared with.
    """

    title: str
    variant: str = 'switched'
    changes: dict[str, Any] = {}  # noqa: RUF012
    start: str = STAGE_1
    control: str = CONTROL


def dense(title: str, **fields: Any) -> Row:
    """A control: trained on for as long as the switched rows."""
    return Row(title, 'dense', {'train.steps': STEPS, **fields.pop('changes', {})}, **fields)


def variation(title: str, changes: dict[str, Any], **fields: Any) -> Row:
    """A switched row with one thing changed, the learning rate falling."""
    return Row(title, changes=COSINE | changes, **{'control': 'dense_falling', **fields})


def switching(**changes: Any) -> dict[str, Any]:
    """Keys of `config.model.switching`."""
    return {f'model.switching.{key}': value for key, value in changes.items()}


ROWS = {
    'dense': dense('(a) dense'),
    'switched': Row('(b) switched'),
    'wide': dense('(c) dense, widened to as many parameters', changes=WIDE, start=WIDENED),
    'dense_falling': dense('(a) dense, rate falling', changes=COSINE, control='dense_falling'),
    'switched_falling': variation('(b) switched, rate falling', {}),
    'wide_falling': dense(
        '(c) dense, widened to as many parameters, rate falling',
        changes=WIDE | COSINE,
        start=WIDENED,
        control='dense_falling',
    ),
    'dense_low': dense('(a) dense, rate 1e-4', changes=LOW, control='dense_low'),
    'switched_low': Row('(b) switched, rate 1e-4', changes=LOW, control='dense_low'),
    'dense_long': dense(
        '(a) dense, 2,000 steps, rate falling from 1e-4', changes=LONG, control='dense_long'
    ),
    'switched_long': variation(
        '(b) switched, 2,000 steps, rate falling from 1e-4', LONG, control='dense_long'
    ),
    'credit_output': variation(
        'selectors learn from the output (as it was)', switching(credit='output')
    ),
    'deviation': variation('kernels deviate from a shared one, 0.3', switching(deviation=0.3)),
    'no_norm': variation('no switch norm', switching(norm_size=0)),
    'load_balancing': variation(
        'load-balancing loss, weight 0.01, instead of the norm',
        {**switching(norm_size=0), 'loss.load_balancing_weight': 0.01},
    ),
    'norm_first': variation('the norm from its first row on', switching(norm_start='first')),
    'norm_first_constant': Row(
        'the norm from its first row on, constant rate', changes=switching(norm_start='first')
    ),
    'norm_16': variation('q 16', switching(norm_size=16)),
    'norm_64': variation('q 64', switching(norm_size=64)),
    'breadth_4': variation('b 4', switching(breadth=4)),
    'breadth_16': variation('b 16', switching(breadth=16)),
    'soft': variation('soft gate (as it was)', switching(routing='soft')),
    'dropped_zero': variation(
        'dropout 0.4, dropped kernels may win (as it was)',
        switching(dropout_rate=0.4, dropped='zero'),
    ),
    'dropped_excluded': variation(
        'dropout 0.4, dropped kernels excluded', switching(dropout_rate=0.4, dropped='excluded')
    ),
    'scratch_dense': dense(
        'from scratch, dense', changes=COSINE, start='', control='scratch_dense'
    ),
    'scratch_published': variation(
        'from scratch, kernels too small by the root of b (as it was)',
        switching(start='published'),
        start='',
        control='scratch_dense',
    ),
    'scratch_convolution': variation(
        "from scratch, kernels as a convolution's",
        switching(start='convolution'),
        start='',
        control='scratch_dense',
    ),
    'scratch_deviation': variation(
        'from scratch, kernels deviate from a shared one, 0.3',
        switching(start='convolution', deviation=0.3),
        start='',
        control='scratch_dense',
    ),
    'scratch_credit_output': variation(
        'from scratch, selectors learn from the output (as it was)',
        switching(start='convolution', credit='output'),
        start='',
        control='scratch_dense',
    ),
    'encoders': variation('only the 4 of the encoders', switching(layers=ENCODERS)),
    'decoders': variation('only the 4 of the decoders', switching(layers=DECODERS)),
}
