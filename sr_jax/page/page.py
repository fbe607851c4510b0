"""What all parts of the page share: files, jobs, networks, and the folders of runs and configs."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from sr_jax.errors import InputError
from sr_jax.page.jobs import Job, Jobs
from sr_jax.page.limits import Limits
from sr_jax.page.networks import Networks
from sr_jax.page.store import Kept, Store

OWNER = re.compile(r'[\w-]{16,64}')
ABSOLUTE = re.compile(r'(?<![\w.:/])/(?:[^/\s:,;\'"]+/)+')  # the folders of a path


class Page:
    """One page, for all who look at it.

    Args:
      files: of weights to offer beside the published ones and the runs.
      runs: the folder of runs.
      configs: the folder of configs.
      limits: of what visitors may take.
    """

    def __init__(self, files: Sequence[str], runs: Path, configs: Path, limits: Limits):
        self.limits, self.runs, self.configs = limits, runs, configs
        self.networks = Networks(files, runs)
        self.jobs = Jobs(limits, self._forget, self.hide_paths)
        self.store = Store(limits, self.jobs.uses)

    def submit(self, owner: str, jobs: Sequence[Job]) -> None:
        """Takes jobs.

        Raises:
          InputError: too many wait, or the browser has not said who asks.
        """
        check_owner(owner)
        self.jobs.submit(jobs)

    def find_files(self, keys: Iterable[str]) -> list[Kept]:
        """The files that a browser names by their ids.

        Raises:
          InputError: there are none, or one is no more here.
        """
        found = [self.store.get(str(key)) for key in keys]
        if not found:
            raise InputError('nothing is chosen: drop a file first')
        return found

    def hide_paths(self, text: str) -> str:
        """A sentence without folders of this machine: what a browser must not see."""
        for folder in (self.runs, self.configs):
            text = text.replace(f'{folder.resolve()}/', '').replace(f'{folder}/', '')
        return ABSOLUTE.sub('', text)

    def close(self) -> None:
        """Ends all jobs and removes all files."""
        self.jobs.close()
        self.networks.wait()
        self.store.close()

    def _forget(self, job: Job) -> None:
        """Removes what a job has made; what was dropped may be used again."""
        for key in job.made:
            self.store.remove(key)


def check_owner(owner: str) -> str:
    """The secret by which a browser finds its jobs again.

    Raises:
      InputError: it is none.
    """
    if not isinstance(owner, str) or not OWNER.fullmatch(owner):
        raise InputError('the browser has not said who asks: allow this page to run scripts')
    return owner
