"""Says what a film is: its picture, times, colors, fields and streams.

  python -m sr_jax film-report film.mkv
  python -m sr_jax film-report film.mkv --json

Nothing is written. It tells what `upscale` would go by: whether the rate is constant, what the
colors are taken for where they are not tagged, and whether frames hold two fields, by their flags
and by looking.
"""

import argparse
import json
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `sr-jax film-report`."""
    parser.add_argument('films', nargs='+', metavar='FILM', type=Path)
    parser.add_argument('--json', action='store_true', help='one line of JSON for each film')


def run(arguments: argparse.Namespace) -> int:
    """Prints the reports and returns 0.

    Raises:
      InputError: PyAV is not installed, or one is no film.
    """
    from sr_jax.film import report  # needs PyAV

    for path in arguments.films:
        found = report.examine(path)
        if arguments.json:
            print(json.dumps(report.as_json(found)))
        else:
            print(*report.lines(found), sep='\n  ')
    return 0
