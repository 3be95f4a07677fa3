"""The writer of files and folders that appear whole or not at all, and the lock of a folder."""

import contextlib
import errno
import os
import signal
import stat
import subprocess
import sys
import threading
import time

import pytest

from gaze_tf.errors import GazeError
from gaze_tf.files import alone_in, new_file, new_folder, write_text


def names(folder):
    return sorted(os.listdir(folder))


def test_a_file_appears_at_the_end(tmp_path):
    path = tmp_path / 'a.txt'
    with new_file(path) as file:
        file.write(b'whole')
        assert not path.exists()
        # whoever knows the target cannot tell where it is written
        (part,) = names(tmp_path)
        assert file.name == str(tmp_path / part) and 'a.txt' not in part
    assert path.read_bytes() == b'whole' and names(tmp_path) == ['a.txt']
    with pytest.raises(KeyboardInterrupt), new_file(path) as file:
        file.write(b'half')
        raise KeyboardInterrupt
    assert path.read_bytes() == b'whole' and names(tmp_path) == ['a.txt']


def test_another_program_may_write_it(tmp_path):
    with new_file(tmp_path / 'a') as file:
        subprocess.run(['sh', '-c', 'echo it > "$1"', 'sh', file.name], check=True)
    assert (tmp_path / 'a').read_text() == 'it\n'


def test_no_name_is_used_twice_and_planted_files_are_left_alone(tmp_path, monkeypatch):
    drawn = iter(['0' * 16, '1' * 16])
    monkeypatch.setattr('secrets.token_hex', lambda count: next(drawn))
    victim = tmp_path / 'victim'
    victim.write_text('precious')
    (tmp_path / 'out').mkdir()
    (tmp_path / 'out' / f'.gaze_tf-{"0" * 16}.part').symlink_to(victim)
    with pytest.raises(FileExistsError):
        write_text(tmp_path / 'out' / 'a', 'text')
    write_text(tmp_path / 'out' / 'a', 'text')
    assert victim.read_text() == 'precious' and (tmp_path / 'out' / 'a').read_text() == 'text'


@pytest.mark.parametrize('mode', [0o600, 0o640, 0o666, 0o755])
def test_the_mode_of_an_overwritten_file_stays(tmp_path, mode):
    path = tmp_path / 'a'
    path.write_text('before')
    path.chmod(mode)
    with new_file(path) as file:
        # at no time can more people read it
        assert stat.S_IMODE(os.stat(file.name).st_mode) == mode
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_the_mode_of_a_new_file_is_that_of_any_new_file(tmp_path):
    write_text(tmp_path / 'a', '')
    (tmp_path / 'b').write_text('')
    assert (tmp_path / 'a').stat().st_mode == (tmp_path / 'b').stat().st_mode


@pytest.mark.parametrize('there', [True, False])
def test_a_link_stays_and_the_file_that_it_leads_to_is_replaced(tmp_path, there):
    (tmp_path / 'far').mkdir()
    if there:
        (tmp_path / 'far' / 'file').write_text('before')
    (tmp_path / 'link').symlink_to('far/file')
    write_text(tmp_path / 'link', 'after')
    assert (tmp_path / 'link').is_symlink() and (tmp_path / 'far' / 'file').read_text() == 'after'
    assert names(tmp_path / 'far') == ['file']


def test_a_link_to_itself_is_refused(tmp_path):
    (tmp_path / 'a').symlink_to('a')
    with pytest.raises(OSError) as error:
        write_text(tmp_path / 'a', 'text')
    assert error.value.errno == errno.ELOOP and names(tmp_path) == ['a']


def links_of_others_are_protected():
    with open('/proc/sys/fs/protected_symlinks') as file:
        return os.getuid() == 0 and file.read().strip() == '1'


@pytest.mark.skipif(not links_of_others_are_protected(), reason='root alone can plant the link of another user')
def test_a_link_that_the_system_forbids_to_follow_is_refused(tmp_path):
    (tmp_path / 'victim').write_text('precious')
    shared = tmp_path / 'shared'
    shared.mkdir()
    shared.chmod(0o1777)
    (shared / 'a').symlink_to(tmp_path / 'victim')
    os.lchown(shared / 'a', 65534, 65534)
    with pytest.raises(PermissionError):
        write_text(shared / 'a', 'text')
    assert (tmp_path / 'victim').read_text() == 'precious' and names(shared) == ['a']


@pytest.mark.parametrize('make, number', [(os.mkdir, errno.EISDIR), (os.mkfifo, errno.EINVAL)])
def test_what_is_no_file_is_not_replaced(tmp_path, make, number):
    make(tmp_path / 'a')
    before = (tmp_path / 'a').stat()
    with pytest.raises(OSError) as error:
        write_text(tmp_path / 'a', 'text')
    assert (
        error.value.errno == number and os.path.samestat((tmp_path / 'a').stat(), before) and names(tmp_path) == ['a']
    )


@pytest.mark.parametrize('name', ['n' * 255, 'ä' * 127, os.fsdecode(b'\xff' * 250)])
def test_the_longest_names_can_be_written(tmp_path, name):
    write_text(tmp_path / name, 'text')
    with new_folder(tmp_path / 'folder' / name) as folder:
        (folder / 'file').touch()
    assert names(tmp_path) == sorted([name, 'folder']) and names(tmp_path / 'folder' / name) == ['file']


def test_what_a_killed_process_left_is_removed_and_what_a_living_one_writes_is_not(tmp_path):
    code = (
        'import os, signal, sys, gaze_tf.files as files\n'
        'with files.new_file(sys.argv[1]) as file:\n'
        '    os.kill(os.getpid(), signal.SIGKILL)'
    )
    process = subprocess.run([sys.executable, '-c', code, str(tmp_path / 'b')], check=False)
    (left,) = names(tmp_path)
    assert process.returncode == -signal.SIGKILL and left.endswith('.part')
    (tmp_path / '.gaze_tf-mine.part').touch()
    with new_file(tmp_path / 'a'):
        assert left not in names(tmp_path)
        code = 'import sys, gaze_tf.files as files; files.write_text(sys.argv[1], "")'
        subprocess.run([sys.executable, '-c', code, str(tmp_path / 'b')], check=True)
    assert names(tmp_path) == ['.gaze_tf-mine.part', 'a', 'b']


# --- new_folder --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    'error',
    [
        FileNotFoundError(errno.ENOENT, 'No such file or directory', '/input'),
        ConnectionRefusedError(errno.ECONNREFUSED, 'Connection refused'),
        OSError('image file is truncated'),
        ValueError('else'),
        GazeError('no photos'),
    ],
)
def test_what_is_not_about_a_new_folder_passes_through(tmp_path, error):
    with pytest.raises(type(error)) as caught, new_folder(tmp_path / 'out'):
        raise error
    assert caught.value is error and names(tmp_path) == []


@pytest.mark.parametrize(
    'fail',
    [
        lambda folder: (folder / 'no' / 'file').touch(),
        lambda folder: (folder / ('n' * 256)).touch(),
        lambda folder: os.rename(__file__ + '.missing', folder / 'a'),
        lambda folder: os.write(os.open('/dev/full', os.O_WRONLY), b'x'),
    ],
)
def test_what_cannot_be_written_in_a_new_folder(tmp_path, fail):
    with pytest.raises(GazeError, match=r'cannot be written \(') as caught:
        with new_folder(tmp_path / 'out') as folder:
            fail(folder)
    assert caught.value.about == tmp_path / 'out' and names(tmp_path) == []


@pytest.mark.parametrize('replace', [False, True])
def test_an_existing_folder_gives_way_at_the_end_or_is_refused(tmp_path, replace):
    (tmp_path / 'out').mkdir()
    (tmp_path / 'out' / 'before').touch()
    with contextlib.nullcontext() if replace else pytest.raises(GazeError, match=f'^{tmp_path}/out: exists already'):
        with new_folder(tmp_path / 'out', replace=replace) as folder:
            (folder / 'after').touch()
            assert names(tmp_path / 'out') == ['before']
    assert names(tmp_path) == ['out'] and names(tmp_path / 'out') == ['after' if replace else 'before']


def test_a_new_folder_below_a_file(tmp_path):
    (tmp_path / 'file').touch()
    for path, why in (('file/out', 'Not a directory'), (f'{"n" * 256}/out', 'File name too long')):
        with pytest.raises(GazeError, match=rf'^{tmp_path}/{path}: cannot be written \({why}\)'):
            with new_folder(tmp_path / path):
                pass


# --- alone_in ----------------------------------------------------------------------------------------------


def test_a_folder_is_kept_for_one(tmp_path):
    with alone_in(tmp_path / 'a' / 'run'):
        with pytest.raises(GazeError, match=f'^{tmp_path}/a/run: in use by another run .process {os.getpid()} on '):
            with alone_in(tmp_path / 'a' / 'run'):
                pass
        with alone_in(tmp_path / 'a' / 'other'):
            pass
        assert names(tmp_path / 'a') == ['run']
    # it stayed empty
    assert names(tmp_path) == []
    with alone_in(tmp_path / 'a'):
        (tmp_path / 'a' / 'file').touch()
    assert names(tmp_path / 'a') == ['file']


def test_whoever_is_killed_keeps_nothing(tmp_path):
    code = (
        'import sys, time, gaze_tf.files as files\n'
        'with files.alone_in(sys.argv[1]):\n'
        '    print("mine", flush=True)\n'
        '    time.sleep(60)'
    )
    with subprocess.Popen([sys.executable, '-c', code, str(tmp_path)], stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        with pytest.raises(GazeError, match=f'process {process.pid} on '), alone_in(tmp_path):
            pass
        process.kill()
        process.wait()
    with alone_in(tmp_path):
        pass
    assert names(tmp_path) == []


def test_many_at_once_and_never_two_together(tmp_path):
    inside, most, done = [], [], []

    def enter():
        while not done or len(done) < 100:
            try:
                with alone_in(tmp_path):
                    inside.append(1)
                    most.append(len(inside))
                    time.sleep(1e-4)
                    inside.pop()
                    done.append(1)
            except GazeError:
                pass

    threads = [threading.Thread(target=enter) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) == 1 and len(done) >= 100 and names(tmp_path) == []


def test_a_planted_link_is_not_followed_by_the_lock(tmp_path):
    (tmp_path / 'victim').write_text('precious')
    (tmp_path / 'run').mkdir()
    (tmp_path / 'run' / '.gaze_tf.lock').symlink_to(tmp_path / 'victim')
    with alone_in(tmp_path / 'run'):
        pass
    assert (tmp_path / 'victim').read_text() == 'precious'
