"""The command line: `python -m sr_jax VERB ...`, also as the command `sr-jax VERB ...`.

Nothing heavy is imported here, so that help and version are quick.
"""

import argparse
import gc
import os
import sys
from collections.abc import Sequence

from sr_jax import __version__
from sr_jax.commands import find_verbs, load_verb
from sr_jax.errors import exit_status


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a verb and returns its exit status: 0, 1 for an error, 2 for a wrong command line."""
    words = list(sys.argv[1:] if argv is None else argv)
    os.environ['JAX_ENABLE_X64'] = '0'  # parameters and what is made of them are float32
    verbs = find_verbs()
    if not words or words[0].startswith('-'):
        make_parser(verbs).parse_args(words)
    verb = words[0]
    if verb not in verbs:
        from sr_jax.config.binding import nearest  # a slow import

        print(f'sr-jax {verb}: no such verb; {nearest(verb, verbs)}', file=sys.stderr)
        return 2
    gc.disable()  # importing makes many objects, hardly any of them garbage
    module, program = load_verb(verb), f'sr-jax {verb}'
    gc.enable()
    if hasattr(module, 'main'):
        return module.main([program, *words[1:]])
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(program, description=module.__doc__, formatter_class=raw)
    module.add_arguments(parser)
    parser.add_argument(
        '--no-cache', action='store_true', help='keep no compiled programs, and use none'
    )
    arguments = parser.parse_args(words[1:])
    if not arguments.no_cache:
        from sr_jax.devices.kept_programs import keep_programs  # a slow import

        keep_programs()
    return exit_status(lambda: module.run(arguments))


def make_parser(verbs: dict[str, str]) -> argparse.ArgumentParser:
    """Returns the parser of a command line without a verb: it shows help or the version, and ends.

    Args:
      verbs: the help of each, by its name.
    """
    parser = argparse.ArgumentParser(
        prog='sr-jax',
        description='Super-resolution and switched convolutions in JAX.',
        epilog='Each verb has its own help: sr-jax VERB --help',
    )
    parser.add_argument('--version', action='version', version=__version__)
    choices = parser.add_subparsers(dest='verb', required=True, metavar='VERB')
    for name, line in verbs.items():
        choices.add_parser(name, help=line.replace('%', '%%'), add_help=False)
    return parser


if __name__ == '__main__':
    sys.exit(main())
