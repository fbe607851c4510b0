"""Films through a network into a file: broken off and resumed, in parts, and with bad input."""

import errno
import itertools
from fractions import Fraction

import av
import films
import jax
import numpy as np
import pytest
import television_films
from film_copies import packets, read, seconds
from PIL import Image
from tiny_networks import repeating

import sr_jax
from sr_jax.errors import InputError
from sr_jax.film.segments import SegmentWriter
from sr_jax.inference.film import frames as frames_module
from sr_jax.inference.film.job import FilmJob
from sr_jax.inference.film.options import FilmOptions
from sr_jax.inference.film.stills import StillsJob
from sr_jax.inference.upscaler import Upscaler

PIECE = Fraction(1, 20)


@pytest.fixture(scope='module')
def upscaler():
    """Repeats pixels, so that what comes of a film is known."""
    return Upscaler(repeating(), bounded=False, devices=jax.devices()[:1])


@pytest.fixture(scope='module')
def frames(tmp_path_factory):
    """A folder of nine images."""
    folder = tmp_path_factory.mktemp('frames')
    for number in range(9):
        Image.fromarray(films.picture(34, 22, 5 * number)).save(folder / f'{number}.png')
    return folder


def make_job(upscaler, path, output, **options):
    told = {'codec': 'ffv1', 'segment': PIECE, 'deinterlace': 'off', **options}
    return FilmJob(upscaler, path, output, FilmOptions(**told))


def video_of(path):
    """Times, durations and bytes of the video's packets."""
    with av.open(str(path)) as container:
        found = container.demux(container.streams.video[0])
        return [(p.pts, p.dts, p.duration, bytes(p)) for p in found if p.size]


@pytest.mark.parametrize(
    ('name', 'suffix'),
    [
        *(('phone', '.mp4'), ('disc', '.mkv'), ('broadcast', '.mkv'), ('prores', '.mov')),
        ('vp9_alpha', '.webm'),
    ],
)
def test_all_but_the_pixels_stays(name, suffix, upscaler, film, tmp_path):
    codec = {'prores': 'prores_ks', 'vp9_alpha': 'libvpx-vp9'}.get(name, 'libx264')
    job = make_job(upscaler, film(name), tmp_path / f'o{suffix}', codec=codec)
    result = job.run()
    assert result.is_whole and not result.problems and not job.parts.folder.exists()
    before, frames = read(film(name))
    after, written = read(tmp_path / f'o{suffix}')
    near = Fraction(1, 2000) if suffix in ('.mkv', '.webm') else 0
    for one, other in zip(seconds(frames), seconds(written), strict=True):
        assert abs(one - other) <= near
    assert packets(film(name)) == packets(tmp_path / f'o{suffix}')
    old, new = before.video, after.video
    assert (new.width, new.height) == (2 * old.width, 2 * old.height)
    assert (new.aspect, new.matrix, new.pixels) == (old.aspect, old.matrix, old.pixels)
    assert new.is_tagged or name == 'vp9_alpha'  # FFmpeg's libvpx decoder says none
    luma = frames[0].planes[0].repeat(2, axis=0).repeat(2, axis=1).astype(int)
    assert np.abs(written[0].planes[0] - luma).mean() < 2 ** (new.pixels.depth - 8) * 4
    if new.pixels.alpha:
        alpha = frames[-1].planes[-1].repeat(2, axis=0).repeat(2, axis=1).astype(int)
        assert np.abs(written[-1].planes[-1] - alpha).mean() < 4


class Killed(BaseException):
    """Ends a run as a signal does."""


def killed_after(count):
    """What is told of the progress, and ends the run after so many times."""
    told = itertools.count()

    def show(progress):
        if next(told) == count:
            raise Killed

    return show


@pytest.mark.parametrize('moments', [(0, 3), (5, 7, 0), (11,)])
def test_a_film_that_was_broken_off_is_the_same(moments, upscaler, film, tmp_path):
    make_job(upscaler, film('broadcast'), tmp_path / 'whole.mkv').run()
    output = tmp_path / 'broken.mkv'
    for moment in moments:
        with pytest.raises(Killed):
            make_job(upscaler, film('broadcast'), output).run(show=killed_after(moment))
    assert not output.exists()
    job = make_job(upscaler, film('broadcast'), output)
    assert job.parts.chosen() == frames_module.MAX_BATCH
    done = [job.parts.segment(k) for k in range(job.plan.segments) if job.parts.note(k)]
    assert 0 < len(done) < job.plan.segments
    before = [path.stat().st_mtime_ns for path in done]
    seen = []
    job.run(show=lambda progress: seen.append([path.stat().st_mtime_ns for path in done]))
    assert seen and all(stamps == before for stamps in seen)
    assert video_of(output) == video_of(tmp_path / 'whole.mkv')
    assert packets(output) == packets(film('broadcast'))


def test_parts_are_joined_to_the_same(upscaler, film, tmp_path):
    make_job(upscaler, film('phone'), tmp_path / 'whole.mp4').run()
    output = tmp_path / 'joined.mp4'
    assert not make_job(upscaler, film('phone'), output).run(part=(2, 3)).is_whole
    with pytest.raises(InputError, match='lacks . of 6 pieces, the first of them number 1'):
        make_job(upscaler, film('phone'), output).join()
    for part in (1, 3):
        make_job(upscaler, film('phone'), output).run(part=(part, 3))
    assert make_job(upscaler, film('phone'), output).join().is_whole
    assert video_of(output) == video_of(tmp_path / 'whole.mp4')


def test_one_job_at_a_time_makes_a_film(upscaler, film, tmp_path):
    output, refused = tmp_path / 'o.mkv', []

    def begin_another(progress):
        for part in ((1, 1), (1, 2)):
            with pytest.raises(InputError, match=f'another job writes {output} .process') as told:
                make_job(upscaler, film('phone'), output, dither='error_diffusion').run(part, True)
            refused.append(told)

    job = make_job(upscaler, film('phone'), output)
    assert job.run(show=begin_another).is_whole and refused
    assert list(tmp_path.iterdir()) == [output]


def test_parts_are_made_at_once_and_not_joined_meanwhile(upscaler, film, tmp_path):
    output, seen = tmp_path / 'o.mkv', []

    def make_the_other(progress):
        if not seen:
            seen.append(make_job(upscaler, film('phone'), output).run((2, 2)))
            with pytest.raises(InputError, match='another job writes'):
                make_job(upscaler, film('phone'), output).join()

    assert not make_job(upscaler, film('phone'), output).run((1, 2), show=make_the_other).is_whole
    assert make_job(upscaler, film('phone'), output).join().is_whole
    assert list(tmp_path.iterdir()) == [output]


def test_one_job_at_a_time_makes_images_of_a_film(upscaler, film, tmp_path):
    folder, saved = tmp_path / 'frames', []

    def make():
        return StillsJob(upscaler, film('phone'), folder, FilmOptions(deinterlace='off'))

    def save_while_another_begins(path, pixels):
        saved.append(path.name)
        with pytest.raises(InputError, match=f'another job writes {folder} '):
            make().run(lambda *_: None)

    assert make().run(save_while_another_begins).frames == len(set(saved)) == len(saved)


def test_no_images_of_an_earlier_film_stay_behind_its_last(upscaler, film, tmp_path):
    folder, lines = tmp_path / 'frames', []
    folder.mkdir()
    others = {'000000.png', '99.png', '0000099.png', '000099.jpg', 'note.png', '\u0669.png'}
    for name in (*others, '000003.png', '000099.png', '1000000.png'):
        (folder / name).touch()
    options = FilmOptions(deinterlace='off', end=0.05)
    job = StillsJob(upscaler, film('phone'), folder, options, report=lines.append)
    count = job.run(lambda path, pixels: path.write_bytes(b'new'), overwrite=True).frames
    made = {f'{number:06d}.png' for number in range(1, count + 1)}
    assert {file.name for file in folder.iterdir()} == others | made
    older = 2 + (count < 3)
    assert lines[-1] == f'{older} older images with higher numbers were removed'


def test_pieces_of_another_job_are_not_taken(upscaler, film, tmp_path):
    output = tmp_path / 'o.mkv'
    make_job(upscaler, film('phone'), output).run(part=(1, 6))
    other = make_job(upscaler, film('phone'), output, dither='error_diffusion')
    with pytest.raises(InputError, match='dither was none, now error_diffusion.* --overwrite'):
        other.run()
    with pytest.raises(InputError, match='holds pieces of another job'):
        other.join()
    another = make_job(upscaler, film('broadcast'), output)
    with pytest.raises(InputError, match='another job .film was'):
        another.run()
    make_job(upscaler, film('phone'), output, same=3.0).run(part=(2, 6), overwrite=True)
    assert other.parts.note(0) is None


@pytest.mark.parametrize(
    ('error', 'message'),
    [
        (OSError(errno.ENOSPC, 'No space left on device'), 'No space left on device'),
        (av.error.ExternalError(1, 'the encoder died'), 'the encoder died'),
    ],
)
def test_what_goes_wrong_is_said_once_and_what_is_done_stays(
    error, message, upscaler, film, tmp_path, monkeypatch
):
    job = make_job(upscaler, film('phone'), tmp_path / 'o.mkv')
    keep, calls = SegmentWriter._keep, itertools.count()

    def fail(self, packets):
        if next(calls) == 7:
            raise error
        keep(self, packets)

    monkeypatch.setattr(SegmentWriter, '_keep', fail)
    with pytest.raises(InputError, match=f'{message}.*what is done stays in .*the same command'):
        job.run()
    assert job.parts.note(0) and not job.output.exists()
    monkeypatch.undo()
    assert job.run().is_whole


def test_a_film_that_was_cut_off_is_enlarged_as_far_as_it_goes(upscaler, tmp_path):
    path = tmp_path / 'cut.mkv'
    made = films.Film(path, 'ffv1', (34, 22), '1/5', 5)
    made.write(films.constant(20, (34, 22), 'yuv420p', made.tick, 1))
    made.close()
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 3 // 5])
    job = make_job(upscaler, path, tmp_path / 'o.mkv', segment=Fraction(1))
    result = job.run()
    assert result.is_whole and 0 < result.note.frames == len(read(job.output)[1]) < 20
    (problem,) = result.problems
    missing = (20 - result.note.frames) / 5
    assert problem == f'it was cut off: its last {missing:.1f} s are missing'


def test_frames_of_another_size_are_brought_to_that_of_the_first(upscaler, tmp_path):
    path = tmp_path / 'two.m2v'
    television_films.two_sizes(path)
    result = make_job(upscaler, path, tmp_path / 'o.mkv').run()
    # FFmpeg's decoder drops the frame that it holds when the size changes.
    assert (result.note.frames, result.note.resized, result.problems) == (5, 3, [])
    frames = read(tmp_path / 'o.mkv')[1]
    assert {frame.planes[0].shape for frame in frames} == {(44, 68)}
    assert abs(frames[4].planes[0].mean() - films.picture(50, 40, 10).mean()) < 3
    message = r'change from 34x22 to 50x40.*--sizes first.*stays in .* would end there again'
    with pytest.raises(InputError, match=message):
        make_job(upscaler, path, tmp_path / 'p.mkv', sizes='refuse').run()


def test_images_of_another_size_are_brought_to_that_of_the_first(upscaler, tmp_path):
    folder = tmp_path / 'frames'
    folder.mkdir()
    for number, size in enumerate([(34, 22), (50, 40), (36, 22)]):
        Image.fromarray(films.picture(*size, 5 * number)).convert('RGB').save(
            folder / f'{number}.png'
        )
    said = []
    told = FilmOptions(codec='ffv1', segment=PIECE)
    result = FilmJob(upscaler, folder, tmp_path / 'o.mkv', told, report=said.append).run()
    assert (result.note.frames, result.note.resized) == (3, 2)
    assert {frame.planes[0].shape for frame in read(tmp_path / 'o.mkv')[1]} == {(44, 68)}
    assert said[0] == (
        '2 of 3 images have another size than the first (1.png: 50x40): they are resized to 34x22'
    )
    message = r'1\.png has 50x40 pixels, other than the first, 0\.png, with 34x22: .*--sizes first'
    with pytest.raises(InputError, match=message) as refusal:
        make_job(upscaler, folder, tmp_path / 'p.mkv', sizes='refuse')
    assert 'goes on' not in str(refusal.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ['frames', 'o.mkv']


def test_an_image_that_cannot_be_decoded_does_not_go_on(upscaler, tmp_path):
    folder = tmp_path / 'frames'
    folder.mkdir()
    for number in range(3):
        Image.fromarray(films.picture(34, 22, 5 * number)).save(folder / f'{number}.png')
    whole = (folder / '2.png').read_bytes()
    (folder / '2.png').write_bytes(whole[:50])
    with pytest.raises(InputError, match=r'2\.png .*the same command would end there again'):
        make_job(upscaler, folder, tmp_path / 'o.mkv').run()


def test_a_part_of_a_film_begins_at_zero_with_its_sound(upscaler, film, tmp_path):
    span = dict(start=Fraction(1, 10), end=Fraction(1, 5))
    job = make_job(upscaler, film('disc'), tmp_path / 'o.mkv', codec='libx264', **span)
    job.run()
    info, frames = read(job.output)
    assert [round(1000 * time) for time in seconds(frames)] == [0, 33, 67]
    (chapter,) = info.chapters
    assert (chapter.start, chapter.metadata['title']) == (0, 'two')
    whole, part = packets(film('disc')), packets(job.output)
    assert all(0 < len(part[k]) < len(whole[k]) for k in (0, 1))
    assert set(part[0]) < set(whole[0])


@pytest.mark.parametrize(
    ('span', 'count'),
    [
        (dict(start=Fraction(1, 2), end=Fraction(4, 5)), 3),
        (dict(start=Fraction(11, 20), end=Fraction(1)), 3),  # between two frames
        (dict(preview=Fraction(2, 5)), 4),
        (dict(end=Fraction(1, 5)), 2),
    ],
)
@pytest.mark.parametrize('suffix', ['.mkv', '.mp4'])
def test_a_part_of_a_folder_begins_at_zero(suffix, span, count, upscaler, frames, tmp_path):
    job = make_job(
        upscaler, frames, tmp_path / f'o{suffix}', rate=Fraction(10), codec='libx264', **span
    )
    assert job.run().note.frames == count
    info, found = read(job.output)
    assert seconds(found) == [Fraction(number, 10) for number in range(count)]
    assert info.duration == Fraction(count, 10)


@pytest.mark.parametrize(
    ('name', 'output', 'options', 'message'),
    [
        ('phone', 'o.avi', {}, 'films are written as'),
        ('phone', 'o.mp4', dict(codec='rawvideo'), 'does not hold what rawvideo makes'),
        ('phone', 'o.mp4', dict(codec='divx'), '--codec divx: take one of libx264'),
        ('disc', 'o.mp4', {}, 'cannot hold .* take o.mkv'),
        ('prores', 'o.mov', dict(codec='libsvtav1'), 'mov does not hold'),
        ('disc', 'o.mkv', dict(deinterlace='maybe'), "deinterlace 'maybe'"),
    ],
)
def test_what_does_not_go_together_is_said_before(
    name, output, options, message, upscaler, film, tmp_path
):
    with pytest.raises(InputError, match=message):
        make_job(upscaler, film(name), tmp_path / output, **options)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ('options', 'size', 'aspect'),
    [
        ({}, (76, 56), Fraction(10, 11)),
        (dict(square_pixels=True), (70, 56), 1),
        (dict(outscale=1.5), (56, 42), Fraction(10, 11) * Fraction(57, 56)),
        (dict(compare=True), (152, 56), Fraction(10, 11)),
        (dict(outscale=1.5, codec='ffv1'), (57, 42), Fraction(10, 11)),
    ],
)
def test_sizes_are_what_was_asked_for(options, size, aspect, upscaler, film, tmp_path):
    told = {'codec': 'libx264', 'leave_out': (1, 2, 3, 4, 5), **options}
    job = make_job(upscaler, film('disc'), tmp_path / 'o.mp4', **told)
    video = job.plan.video
    assert ((video.width, video.height), video.aspect) == (size, aspect)


def test_from_python_a_film_and_its_frames(film, tmp_path):
    with pytest.raises(InputError, match='is there already'):
        sr_jax.upscale_film(film('odd'), repeating(), film('odd'))
    with pytest.raises(InputError, match="an option 'prevew': did you mean 'preview'"):
        sr_jax.upscale_film(film('odd'), repeating(), tmp_path / 'o.nut', prevew=1)
    options = dict(codec='ffv1', devices=jax.devices()[:1], end='0.1', dither='none')
    result = sr_jax.upscale_film(film('odd'), repeating(), tmp_path / 'o.nut', **options)
    assert result.note.frames == 3
    frames = list(sr_jax.enlarged_frames(film('odd'), repeating(), **options))
    assert [frame.time for frame in frames] == [0, Fraction(1, 25), Fraction(2, 25)]
    assert {frame.pixels.shape for frame in frames} == {(46, 70, 3)}
    assert {frame.pixels.dtype for frame in frames} == {np.dtype(np.uint8)}
