# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is called through lab-python does what it would do in a Python of its own."""

from __future__ import annotations

import base64
import io
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

LAB = Path(__file__).resolve().parent.parent
SERVER = LAB / "images" / "common" / "usr" / "local" / "lib" / "lab_python.py"
CLIENT = LAB / "programs" / "lab_python.c"

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")


@pytest.fixture(name="socket", scope="module")
def _socket(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("python") / "socket"


@pytest.fixture(name="built", scope="module")
def _built(socket: Path) -> Path:
    target = socket.parent / "lab-python"
    words = ["gcc", "-O2", "-Wall", "-Wextra", "-Werror", f'-DSOCKET="{socket}"', "-o", str(target), str(CLIENT)]
    subprocess.run(words, check=True)
    return target


@pytest.fixture(name="client", scope="module")
def _client(socket: Path, built: Path) -> Iterator[Path]:
    with subprocess.Popen([sys.executable, str(SERVER), str(socket)]) as process:
        while not socket.exists():
            assert process.poll() is None
            time.sleep(0.01)
        yield built
        process.send_signal(signal.SIGTERM)


def call(client: Path, *words: str, text: str = "", **more: object) -> subprocess.CompletedProcess[str]:
    options = {"input": text, "capture_output": True, "encoding": "utf-8", **more}
    return subprocess.run([str(client), *words], check=False, **options)  # type: ignore[call-overload, no-any-return]


WHO = "import os, sys; print(__name__, sys.argv, os.getcwd(), os.environ['WORD'], len(os.environ), file=sys.stderr)"


def test_a_script_on_standard_input_has_the_callers_world(client: Path, tmp_path: Path) -> None:
    found = call(client, text=WHO, cwd=tmp_path, env={"WORD": "größer\n"})
    assert (found.returncode, found.stdout) == (0, "")
    assert found.stderr.startswith(f"__main__ [''] {tmp_path} größer\n ")


def test_a_script_in_a_file_has_its_arguments(client: Path, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("import sys\nprint(__name__, __file__, sys.argv[1:], sys.stdin.read())\n")
    found = call(client, str(script), "a", "b c", text="given")
    assert found.stdout == f"__main__ {script} ['a', 'b c'] given\n"


@pytest.mark.parametrize(
    ("script", "status"),
    [("raise SystemExit(7)", 7), ("raise SystemExit('no')", 1), ("1 / 0", 1), ("import os; os._exit(255)", 255)],
)
def test_it_ends_as_the_script_does(client: Path, script: str, status: int) -> None:
    found = call(client, text=script)
    assert found.returncode == status
    assert ("ZeroDivisionError" in found.stderr) == (script == "1 / 0")


def test_a_signal_ends_it_as_a_shell_says(client: Path) -> None:
    assert call(client, text="import os; os.kill(os.getpid(), 9)").returncode == 128 + 9


def test_what_is_registered_for_the_end_is_done(client: Path) -> None:
    assert call(client, text="import atexit; atexit.register(print, 'bye')").stdout == "bye\n"


def test_nothing_stays_from_one_call_to_the_next(client: Path) -> None:
    call(client, text="import sys, os; sys.ours = 1; os.environ['OURS'] = '1'; sys.path.append('/ours')")
    found = call(client, text="import sys, os; print(hasattr(sys, 'ours'), 'OURS' in os.environ, '/ours' in sys.path)")
    assert found.stdout == "False False False\n"


def test_calls_run_side_by_side(client: Path, tmp_path: Path) -> None:
    waits = f"import os, time\nwhile not os.path.exists({str(tmp_path / 'go')!r}): time.sleep(0.01)"
    with subprocess.Popen([str(client)], stdin=subprocess.PIPE, encoding="utf-8") as first:
        assert first.stdin is not None
        first.stdin.write(waits)
        first.stdin.close()
        assert call(client, text=f"open({str(tmp_path / 'go')!r}, 'w').close()").returncode == 0
        assert first.wait(30) == 0


def test_other_words_are_a_python_of_their_own(client: Path) -> None:
    assert call(client, "-c", "import sys; print(sys.orig_argv[1:2])").stdout == "['-c']\n"


#: What Ansible sends, as far as it matters: {0} is the zip file, {1} what is given.
MODULE = """\
import base64, os, sys, tempfile

def _ansiballz_main(module_fqn, zip_data, params):
    folder = tempfile.mkdtemp()
    path = os.path.join(folder, "payload.zip")
    with open(path, "wb") as file:
        file.write(base64.b64decode(zip_data))
    sys.path.insert(0, path)
    import runpy
    sys.params = params
    runpy.run_module(module_fqn, run_name="__main__", alter_sys=True)

if __name__ == "__main__":
    _ansiballz_main(
module_fqn='lab_module',
zip_data='{0}',
params={1!r},
)
"""
SOURCE = "import os, sys, lab_helper\nif __name__ == '__main__':\n    print(lab_helper.PID, os.getpid(), sys.params)\n"
HELPER = "import os\nPID = os.getpid()\nVERSION = {0}\n"


def module(given: str, version: int) -> str:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("lab_module.py", SOURCE)
        archive.writestr("lab_helper.py", HELPER.format(version))
    return MODULE.format(base64.b64encode(packed.getvalue()).decode(), given)


def test_modules_are_imported_once_for_all_calls_with_the_same_sources(client: Path) -> None:
    found = [call(client, text=module(given, version)) for given, version in (("a", 1), ("b", 1), ("c", 2), ("d", 2))]
    assert [each.stderr for each in found] == [""] * 4
    imported, ran, given = zip(*(each.stdout.split() for each in found))
    assert given == ("a", "b", "c", "d")
    assert (imported[0], imported[2]) == (imported[1], imported[3])
    assert imported[0] != imported[2]
    assert len({*imported, *ran}) == 6


def test_a_module_that_cannot_be_imported_fails_where_it_is_run(client: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("lab_module.py", "import nothing_of_that_name\n")
    for _attempt in (1, 2):
        found = call(client, text=MODULE.format(base64.b64encode(packed.getvalue()).decode(), "a"))
        assert found.returncode == 1
        assert "No module named 'nothing_of_that_name'" in found.stderr


def test_a_module_gets_on_with_its_standard_output_closed_early(client: Path) -> None:
    with subprocess.Popen([str(client)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.close()
        process.stdin.write(module("e", 1))
        process.stdin.close()
        assert process.wait(30) in (0, 1)
    assert call(client, text=module("f", 1)).stdout.endswith("f\n")


def test_without_a_server_it_is_python(built: Path, socket: Path) -> None:
    socket.unlink(missing_ok=True)
    assert call(built, text="print('plain')").stdout == "plain\n"
