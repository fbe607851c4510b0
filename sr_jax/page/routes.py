"""Our own routes: files in and out, and how far jobs and runs are. All by ids that are secrets."""

import asyncio
import zipfile
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from sr_jax.errors import InputError
from sr_jax.film.formats import SUFFIXES as FILM_SUFFIXES
from sr_jax.images.files import read_outline
from sr_jax.page.gate import OWN
from sr_jax.page.page import Page, check_owner
from sr_jax.page.store import Kept
from sr_jax.training.history import find_samples, list_runs, read_curves

STATIC = Path(__file__).with_name('static')
TYPES = {'.js': 'text/javascript', '.css': 'text/css', '.mp4': 'video/mp4', '.webm': 'video/webm'}
TYPES |= {'.png': 'image/png', '.apng': 'image/apng', '.gif': 'image/gif', '.avif': 'image/avif'}
TYPES |= {'.webp': 'image/webp', **dict.fromkeys(('.jpg', '.jpeg', '.jpe', '.jfif'), 'image/jpeg')}
NEVER = {'Cache-Control': 'no-store'}

Answer = Callable[[Request], Awaitable[Response]]


def make_routes(page: Page) -> list[Route]:
    """The routes of a page."""
    routes = Routes(page)
    table: Sequence[tuple[str, str, Answer]] = (
        ('GET', 'static/{name}', routes.send_static),
        ('PUT', 'files/{kind}', routes.take_file),
        ('GET', 'files/{id}', routes.send_file),
        ('GET', 'view/{id}', routes.send_view),
        ('GET', 'zip/{owner}/{tab}', routes.send_zip),
        ('GET', 'jobs/{owner}/{tab}', routes.list_jobs),
        ('POST', 'jobs/{id}/{action}', routes.change_job),
        ('GET', 'runs/{name}', routes.show_run),
        ('GET', 'runs/{name}/{sample}', routes.send_sample),
    )
    return [
        Route(OWN + path, _told(answer, page), methods=[method]) for method, path, answer in table
    ]


class Routes:
    """What the routes answer.

    Args:
      page: whose files and jobs they are.
    """

    def __init__(self, page: Page):
        self._page = page

    async def send_static(self, request: Request) -> Response:
        """Sends what the browser runs."""
        name = request.path_params['name']
        if name not in ('page.js', 'page.css', 'compare.js'):
            raise InputError('there is no such file')
        return FileResponse(STATIC / name, media_type=TYPES[Path(name).suffix])

    async def take_file(self, request: Request) -> Response:
        """Keeps a file, once the reader of such files has looked at its header."""
        is_film = request.path_params['kind'] == 'film'
        limits = self._page.limits
        most = limits.film_bytes if is_film else limits.image_bytes
        name = request.query_params.get('name', '')
        kept = await self._page.store.receive(name, request.stream(), most)
        try:
            await asyncio.to_thread(check_film if is_film else check_image, kept)
        except BaseException:
            self._page.store.remove(kept.id)
            raise
        return JSONResponse({'id': kept.id, 'name': kept.path.name})

    async def send_file(self, request: Request) -> Response:
        """Sends a file to be saved."""
        kept = self._page.store.get(request.path_params['id'])
        kind = 'application/octet-stream'
        return FileResponse(kept.path, media_type=kind, filename=kept.path.name, headers=NEVER)

    async def send_view(self, request: Request) -> Response:
        """Sends a file to be looked at."""
        kept = self._page.store.get(request.path_params['id'])
        path = kept.view if kept.view.exists() else kept.path
        kind = TYPES.get(path.suffix.lower())
        if kind is None:
            raise InputError(f'{path.name}: a browser does not show such files')
        return FileResponse(path, media_type=kind, headers=NEVER)

    async def send_zip(self, request: Request) -> Response:
        """Sends all results of a tab in one file."""
        owner, tab = check_owner(request.path_params['owner']), request.path_params['tab']
        made = [job.result['file']['id'] for job in self._page.jobs.find(owner, tab) if job.result]
        files = [self._page.store.get(key) for key in made]
        if not files:
            raise InputError('there is no result yet')
        target = self._page.store.place(f'{tab}.zip')
        await asyncio.to_thread(write_zip, target.path, files)
        remove = BackgroundTask(self._page.store.remove, target.id)
        return FileResponse(target.path, filename=target.path.name, background=remove)

    async def list_jobs(self, request: Request) -> Response:
        """Says how far the jobs of a browser are."""
        owner = check_owner(request.path_params['owner'])
        return JSONResponse(self._page.jobs.tell(owner, request.path_params['tab']), headers=NEVER)

    async def change_job(self, request: Request) -> Response:
        """Ends a job, begins it again, or forgets it."""
        jobs = self._page.jobs
        actions = {'cancel': jobs.cancel, 'again': jobs.begin_again, 'remove': jobs.remove}
        if request.path_params['action'] not in actions:
            raise InputError('there is no such thing to do')
        actions[request.path_params['action']](request.path_params['id'])
        return JSONResponse({})

    async def show_run(self, request: Request) -> Response:
        """Says what a run has written of itself."""
        run = self._find_run(request)
        curves = await asyncio.to_thread(read_curves, run)
        samples = [path.name for path in find_samples(run)]
        return JSONResponse({'curves': curves, 'samples': samples[-1:]}, headers=NEVER)

    async def send_sample(self, request: Request) -> Response:
        """Sends a sheet of samples of a run."""
        name = request.path_params['sample']
        for path in find_samples(self._find_run(request)):
            if path.name == name:
                return FileResponse(path, media_type=TYPES['.png'])
        raise InputError('there is no such sample')

    def _find_run(self, request: Request) -> Path:
        """The folder of a run; InputError where there is none of that name."""
        name = request.path_params['name']
        if name not in list_runs(self._page.runs):
            raise InputError('there is no such run')
        return self._page.runs / name


def check_image(kept: Kept) -> None:
    """Raises InputError for what is no image that can be read."""
    read_outline(kept.path)


def check_film(kept: Kept) -> None:
    """Raises InputError for what is no film by its name; what it holds is seen when it is read."""
    if kept.path.suffix.lower() not in FILM_SUFFIXES:
        raise InputError(f'{kept.path.name} is no film: take one of {", ".join(FILM_SUFFIXES)}')


def write_zip(target: Path, files: Sequence[Kept]) -> None:
    """Writes files into a zip, those of one name numbered."""
    seen: Counter[str] = Counter()
    with zipfile.ZipFile(target, 'w') as archive:
        for kept in files:
            seen[kept.path.name] += 1
            number = seen[kept.path.name]
            stem = kept.path.stem if number == 1 else f'{kept.path.stem}_{number}'
            archive.write(kept.path, stem + kept.path.suffix)


def _told(answer: Answer, page: Page) -> Answer:
    """The answer, or in its place the sentence of an InputError."""

    async def tell(request: Request) -> Response:
        try:
            return await answer(request)
        except InputError as error:
            return JSONResponse({'error': page.hide_paths(str(error))}, 422)

    return tell
