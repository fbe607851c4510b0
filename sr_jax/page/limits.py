"""How much the page takes of its visitors, and keeps for them."""

from typing import NamedTuple

MEGABYTE = 2**20


class Limits(NamedTuple):
    """What is refused, or removed.

    Attributes:
      image_bytes, film_bytes: of one file that is dropped.
      result_pixels: of one enlarged image.
      files, total_bytes: of all files that are kept; the oldest that nobody waits for are removed.
      waiting: jobs that may wait.
      waiting_of_one: of these, those of one visitor.
      kept: jobs of one visitor that are kept when they are over.
      seconds: that a file is kept which nobody waits for.
    """

    image_bytes: int = 256 * MEGABYTE
    film_bytes: int = 8192 * MEGABYTE
    result_pixels: int = 2**28
    files: int = 2000
    total_bytes: int = 32768 * MEGABYTE
    waiting: int = 500
    waiting_of_one: int = 200
    kept: int = 200
    seconds: float = 24 * 3600.0
