"""Opens a page in the browser: enlarge images and films, look inside runs, train.

  python -m sr_jax app
  python -m sr_jax app runs/mine.safetensors --runs runs --configs configs
  SR_JAX_PASSWORD=WORD python -m sr_jax app --host 0.0.0.0

It listens on this machine alone, unless --host says otherwise; then a password is asked for.
Ctrl-C ends it, and removes what was dropped and made.
"""

import argparse
import contextlib
import os
import signal

from sr_jax.page.launch import LOOPBACK, app


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `sr-jax app`."""
    parser.add_argument(
        'weights', nargs='*', metavar='WEIGHTS', help='files to offer beside the published ones'
    )
    parser.add_argument('--runs', default='runs', help='the folder of runs (default: %(default)s)')
    parser.add_argument(
        '--configs', default='configs', help='the folder of configs (default: %(default)s)'
    )
    parser.add_argument(
        '--host',
        default=LOOPBACK,
        help='the address to listen at, 0.0.0.0 for all; others than this machine need a password '
        'in the environment variable SR_JAX_PASSWORD (default: %(default)s)',
    )
    parser.add_argument(
        '--port', type=int, help='to listen at (default: the first free one from 7860 on)'
    )
    parser.add_argument(
        '--share', action='store_true', help='also open a public link, through a server of Gradio'
    )


def run(arguments: argparse.Namespace) -> int:
    """Keeps the page open until Ctrl-C or SIGTERM, and returns 0.

    Raises:
      InputError: Gradio is not installed, a password is missing, or the address is taken.
    """
    opened = app(
        arguments.weights,
        runs=arguments.runs,
        configs=arguments.configs,
        host=arguments.host,
        port=arguments.port,
        password=os.environ.get('SR_JAX_PASSWORD', ''),
        share=arguments.share,
    )
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    print(f'the page is at {opened.url}', flush=True)
    if opened.share_url:
        print(f'and for others at {opened.share_url}', flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        from sr_jax.devices.cores import split_cpu  # it imports JAX, while the page is open

        split_cpu()
        opened.wait()
    print('closing: what is at work is ended', flush=True)
    opened.close()
    return 0
