"""The examples for clusters: the Slurm script with stand-ins for Slurm, the JobSet against what it
must agree with."""

import argparse
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
import yaml

from sr_jax.commands import train, upscale

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / 'examples'
# A step that is asked to end saves and ends with 143.
STEP = "trap 'exit 143' TERM; touch started; while :; do sleep 0.02; done"


def executable(path, text):
    path.write_text(f'#!/bin/bash\n{text}\n')
    path.chmod(0o755)


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """Returns how to start the script with a step that does something; it logs what it was told."""
    programs = tmp_path / 'bin'
    programs.mkdir()

    def start(step, *arguments):
        executable(programs / 'srun', f'echo srun "$@" >> told; echo $$ > step; {step}')
        executable(programs / 'scancel', 'echo scancel "$@" >> told; kill -TERM "$(cat step)"')
        executable(programs / 'scontrol', 'echo scontrol "$@" >> told')
        job = {'SLURM_JOB_ID': '7', 'SLURM_SUBMIT_DIR': '/submitted', 'SLURM_JOB_NAME': 'mine'}
        path = f'{programs}{os.pathsep}{os.environ["PATH"]}'
        script = ['bash', str(EXAMPLES / 'slurm.sh'), *arguments]
        return subprocess.Popen(script, cwd=tmp_path, env=os.environ | job | {'PATH': path})

    return start


def told(folder):
    return (folder / 'told').read_text().splitlines()


def test_the_slurm_job_is_done_when_the_run_is(slurm, tmp_path):
    assert slurm('exit 0', '--config', f'{ROOT}/configs/vqvae.py:demo').wait(30) == 0
    (line,) = told(tmp_path)
    flags = parsed(line.removeprefix('srun --kill-on-bad-exit=1 ').split())
    assert flags['config'].value.train.steps == 1500
    assert (flags['workdir'].value, flags['distributed'].value) == ('/submitted/runs/mine', True)


def test_the_slurm_job_resumes_after_its_time_is_up(slurm, tmp_path):
    job = slurm(STEP)
    while not (tmp_path / 'started').exists():
        time.sleep(0.02)
    job.send_signal(signal.SIGUSR1)
    assert job.wait(30) == 143
    assert told(tmp_path)[1:] == ['scancel --signal=TERM 7', 'scontrol requeue 7']
    assert ' --config configs/vqvae.py:imagenet --workdir ' in told(tmp_path)[0]


@pytest.mark.parametrize('status', [1, 143])
def test_the_slurm_job_does_not_resume_after_an_error(slurm, tmp_path, status):
    # 143 is what Slurm gives back when it has ended the others after the error of one.
    assert slurm(f'exit {status}').wait(30) == status
    assert len(told(tmp_path)) == 1


def test_the_slurm_job_does_not_resume_when_its_time_is_up_amid_an_error(slurm, tmp_path):
    job = slurm("trap 'exit 1' TERM; touch started; while :; do sleep 0.02; done")
    while not (tmp_path / 'started').exists():
        time.sleep(0.02)
    job.send_signal(signal.SIGUSR1)
    assert job.wait(30) == 1
    assert told(tmp_path)[1:] == ['scancel --signal=TERM 7']


def parsed(words):
    """The flags as the trainer reads them; one that it does not know is an error."""
    assert words[:3] == ['python', '-m', 'sr_jax.main']
    values = train.make_flags(words[2:])
    assert values(words[2:]) == ['sr_jax.main']
    return values


def test_the_jobset_agrees_with_itself_and_the_trainer(monkeypatch):
    monkeypatch.chdir(ROOT)
    jobset = yaml.safe_load((EXAMPLES / 'jobset.yaml').read_text())
    (workers,) = jobset['spec']['replicatedJobs']
    job = workers['template']['spec']
    (container,) = job['template']['spec']['containers']
    flags = parsed([word.replace('$(JOB_COMPLETION_INDEX)', '1') for word in container['command']])
    names = (jobset['metadata']['name'], workers['name'])
    (port,) = container['ports']
    # https://jobset.sigs.k8s.io: pods are named <jobset>-<job>-<job index>-<pod index>.<subdomain>.
    first = f'{"-".join(names)}-0-0.{jobset["spec"]["network"]["subdomain"]}'
    assert flags['coordinator'].value == f'{first}:{port["containerPort"]}'
    assert flags['processes'].value == job['completions'] == job['parallelism']
    assert flags['process'].value == 1
    assert job['completionMode'] == 'Indexed'
    mounted = {mount['name'] for mount in container['volumeMounts']}
    assert mounted == {volume['name'] for volume in job['template']['spec']['volumes']}
    assert flags['workdir'].value.startswith(container['volumeMounts'][0]['mountPath'])


@pytest.mark.parametrize(
    ('words', 'part', 'join'), [((), '3/8', False), (('--crf', '20', '--join'), '1/1', True)]
)
def test_the_slurm_array_makes_a_share_of_a_film_or_joins_it(words, part, join, tmp_path):
    executable(tmp_path / 'python', 'printf "%s\\n" "$@" > told')
    job = {'SLURM_ARRAY_TASK_ID': '3', 'SLURM_ARRAY_TASK_COUNT': '8'}
    path = f'{tmp_path}{os.pathsep}{os.environ["PATH"]}'
    script = ['bash', EXAMPLES / 'slurm_film.sh', 'a film.mkv', 'b.mkv', *words]
    subprocess.run(script, cwd=tmp_path, env=os.environ | job | {'PATH': path}, check=True)
    assert told(tmp_path)[:3] == ['-m', 'sr_jax', 'upscale']
    parser = argparse.ArgumentParser()
    upscale.add_arguments(parser)
    given = parser.parse_args(told(tmp_path)[3:])
    assert (given.images, given.output) == ([Path('a film.mkv')], 'b.mkv')
    assert (given.part, given.join) == (part, join)
