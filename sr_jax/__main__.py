"""The verbs: `python -m sr_jax VERB ...`, also as the command `sr-jax VERB ...`."""

import argparse
import sys
from collections.abc import Sequence

from sr_jax import __version__
from sr_jax import main as training
from sr_jax.commands import (
    convert,
    convert_to_switched,
    evaluate,
    flow_report,
    reconstruct,
    selector_maps,
    upscale,
)
from sr_jax.errors import exit_status

VERBS = {
    'upscale': upscale,
    'evaluate': evaluate,
    'reconstruct': reconstruct,
    'convert': convert,
    'convert-to-switched': convert_to_switched,
    'selector-maps': selector_maps,
    'flow-report': flow_report,
}


def make_parser() -> argparse.ArgumentParser:
    """Returns the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog='sr-jax',
        description='Super-resolution and switched convolutions in JAX.',
        epilog='Each verb has its own help: sr-jax VERB --help',
    )
    parser.add_argument('--version', action='version', version=__version__)
    verbs = parser.add_subparsers(dest='verb', required=True, metavar='VERB')
    verbs.add_parser('train', help='train the network of a config', add_help=False)
    for name, module in VERBS.items():
        verb = verbs.add_parser(name, help=module.HELP, description=module.__doc__)
        module.add_arguments(verb)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a verb and returns its exit status: 0, 1 for an error, 2 for a wrong command line."""
    argv = list(sys.argv[1:] if argv is None else argv)
    if argv[:1] == ['train']:  # its flags are absl's
        return training.main(['sr-jax train', *argv[1:]])
    arguments = make_parser().parse_args(argv)
    return exit_status(lambda: VERBS[arguments.verb].run(arguments))


if __name__ == '__main__':
    sys.exit(main())
