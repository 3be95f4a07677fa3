"""The quality benchmark as a command: what it says of bad flags and folders, and when it is interrupted."""

import os
import signal
import subprocess
import sys
import time

import pytest


@pytest.mark.parametrize(
    'flags, said',
    [
        (['--variants=method,dream'], "there is no variant 'dream'"),
        (['--jobs=0'], 'jobs'),
        (['dream'], 'dream'),
        (['--seeds=0,one'], '--seeds=0,one'),
        (['--seeds=1,01'], '--seeds=1,01'),
        (['--seeds='], '--seeds='),
        (['--seeds=-1'], '--seeds=-1'),
        (['--report_on=training'], 'report_on'),
    ],
)
def test_bad_flags_are_named(tmp_path, flags, said):
    result = subprocess.run(
        [sys.executable, '-m', 'tools.studies.quality_benchmark', f'--output_dir={tmp_path}/out', *flags],
        capture_output=True,
        text=True,
    )
    assert result.returncode != 0 and said in result.stdout + result.stderr
    assert 'Traceback' not in result.stdout + result.stderr and not (tmp_path / 'out').exists()


def run_tool(*arguments):
    return subprocess.Popen(
        [sys.executable, '-m', 'tools.studies.quality_benchmark', *arguments],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def test_a_folder_that_is_a_file_is_named(tmp_path):
    (tmp_path / 'out').write_text('mine')
    process = run_tool(f'--output_dir={tmp_path}/out')
    said = process.communicate()[0]
    assert process.returncode == 1 and len(said.splitlines()) == 1 and f'{tmp_path}/out cannot be used' in said
    assert (tmp_path / 'out').read_text() == 'mine'


def test_control_c_ends_it_with_a_sentence(tmp_path):
    process = run_tool(f'--output_dir={tmp_path}/out')
    # ends, too, if the tool ends before
    assert any('Rendering' in line for line in iter(process.stdout.readline, ''))
    time.sleep(1)
    os.killpg(process.pid, signal.SIGINT)
    said = process.communicate(timeout=60)[0]
    assert process.returncode == 1 and 'it goes on where it was' in said and 'Traceback' not in said
