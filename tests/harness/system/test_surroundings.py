"""What a shell sets, what becomes of output, and what is printed: nothing of it ends a command."""

import io
import os
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from rich.table import Table

from harness.system import surroundings
from harness.system.console import progress, say, status, terminal
from harness.system.errors import UserError
from harness.system.supervisor import child_environment
from harness.system.surroundings import ROOT, cleaned, expanded, unchanged


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("GIT_DIR", "/nowhere", False),
        ("GIT_INDEX_FILE", "index", False),
        ("RANK", "0", False),
        ("WORLD_SIZE", "0", False),
        ("MASTER_PORT", "٢٩٥٠٠", False),
        ("PET_NPROC_PER_NODE", "x", False),
        ("TORCHELASTIC_ERROR_FILE", "/nowhere/x", False),
        ("LOGLEVEL", "loud", False),
        ("LOGLEVEL", "INFO", True),
        ("COLUMNS", "0", False),
        ("COLUMNS", "²", False),
        ("COLUMNS", "200", True),
        ("TERMINAL_WIDTH", "wide", False),
        ("OMP_NUM_THREADS", "abc", False),
        ("OMP_NUM_THREADS", "0", False),
        ("OMP_NUM_THREADS", "4,2", True),
        ("MKL_NUM_THREADS", "", False),
        ("PYTHONWARNINGS", "error", False),
        ("CUDA_VISIBLE_DEVICES", "1", True),
        ("PATH", "/bin", True),
    ],
)
def test_what_is_meant_for_others_is_left_out(name: str, value: str, kept: bool) -> None:
    assert (cleaned({name: value}).get(name) == value) == kept


def test_figures_never_go_to_a_window() -> None:
    assert cleaned({"MPLBACKEND": "module://a_notebook's"})["MPLBACKEND"] == "agg"


def test_our_packages_come_first_for_children(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setenv("PYTHONPATH", "/first:/second")
    assert child_environment()["PYTHONPATH"].split(os.pathsep) == [str(ROOT), str(tmp_path), "/first", "/second"]


def printing(shell: str, encoding: str = "utf-8") -> "subprocess.CompletedProcess[bytes]":
    """A process that prints much, its output handled as the shell's line says; "$@" is its command."""
    script = (
        "import sys; from harness.system.surroundings import settle_output; settle_output()\n"
        "from harness.system.console import say, terminal\n"
        "for n in range(2000): say(terminal(), f'line {n} \\u00d7 \\u4e2d ' + 80 * '-')\n"  # more than a pipe holds
        "print('end', file=sys.stderr); open('done', 'w').close()"
    )
    command = ["bash", "-c", shell, "bash", sys.executable, "-c", script]
    variables = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": encoding}
    return subprocess.run(command, capture_output=True, env=variables)


@pytest.mark.parametrize(
    "shell",
    [
        '"$@" | head -1; exit ${PIPESTATUS[0]}',
        '"$@" >&-',
        '"$@" >&- 2>&- <&-',
        '"$@" > /dev/full',
        '"$@" 2>&1 | true; exit ${PIPESTATUS[0]}',
    ],
)
def test_nothing_that_happens_to_output_ends_a_process(
    shell: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = printing(shell)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "done").exists()


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8:strict"])
def test_what_an_encoding_lacks_is_escaped(encoding: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = printing('"$@"', encoding)
    assert done.returncode == 0, done.stderr
    assert (b"\\u4e2d" in done.stdout) == (encoding != "utf-8:strict")


ODD = [
    "[/pytorch/third_party/gloo/gloo/transport/tcp/pair.cc:534] Connection closed by peer",
    "shape [2, 3] at [bold]here[/bold]",
    ":warning: [link=x]y",
]


@pytest.mark.parametrize("text", ODD)
@pytest.mark.parametrize("of", [terminal, Console])
def test_texts_are_printed_as_they_are(text: str, of: type[Console]) -> None:
    said = io.StringIO()
    console = of(file=said, width=100)
    say(console, text)
    assert said.getvalue() == f"{text}\n"


@pytest.mark.parametrize("text", ODD)
def test_tables_and_bars_show_them_too(text: str) -> None:
    said = io.StringIO()
    table = Table("name", title=text)
    table.add_row(text)
    terminal(said, width=120).print(table)
    assert said.getvalue().count(text) == 2
    shown = Console(file=(bars_said := io.StringIO()), width=200, force_terminal=True, color_system=None)
    with progress(shown) as bars:
        bars.add_task(text, total=1)
    assert text in bars_said.getvalue()
    with status(shown, text):
        pass
    assert bars_said.getvalue().count(text) >= 2


def test_paths_begin_at_home_where_they_say_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert expanded("~/data") == tmp_path / "data"
    assert expanded("~") == tmp_path
    assert expanded("data/~x") == Path("data/~x")
    with pytest.raises(UserError, match=r"~nobody-here/data: .*write the path in full"):
        expanded("~nobody-here/data")


def test_another_package_datasets_over_ours_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where Hugging Face's is installed into the same environment later."""
    surroundings.refuse_another_datasets()
    (tmp_path / "datasets").mkdir()
    monkeypatch.setattr(surroundings, "ROOT", tmp_path)
    for text in (None, "", "# Copyright 2020 The HuggingFace Datasets Authors\n__version__ = '4.0.0'\n"):
        if text is not None:
            (tmp_path / "datasets" / "__init__.py").write_text(text)
        with pytest.raises(UserError, match="an environment of its own"):
            surroundings.refuse_another_datasets()


def python(code: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """The code in a process of its own."""
    environment = {**os.environ, **variables}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize("code", ["os._exit(0)", "os.execv('/bin/true', ['true'])", "os.execl('/bin/true', 'true')"])
def test_nobody_else_ends_this_process_with_a_code_of_his(code: str) -> None:
    begin = "import os; from harness.system.surroundings import guard_exit, leave; guard_exit()\n"
    tried = f"{begin}try:\n    {code}\nexcept SystemExit as error:\n    print(error)\n    leave(7)\n"
    done = python(tried)
    assert done.returncode == 7 and done.stdout.startswith("os."), done


@pytest.mark.parametrize(
    "left",
    [
        "threading.Thread(target=threading.Event().wait).start()",
        "atexit.register(os._exit, 0)",
        "atexit.register(lambda: sys.exit(0))",
    ],
)
def test_what_was_left_behind_neither_holds_nor_changes_the_end(left: str) -> None:
    code = "import atexit, os, sys, threading; from harness.system.surroundings import guard_exit, leave\n"
    code += f"guard_exit()\n{left}\nprint('said')\nleave(3)"
    done = python(code)
    assert (done.returncode, done.stdout) == (3, "said\n")


def test_a_child_ends_as_it_likes() -> None:
    """That of a fork has its own end."""
    code = "import os; from harness.system.surroundings import guard_exit; guard_exit()\n"
    code += (
        "child = os.fork()\nif not child:\n    os._exit(5)\nprint(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))"
    )
    assert python(code).stdout == "5\n"


def test_what_a_module_sets_for_the_process_is_put_back(tmp_path: Path) -> None:
    before = os.getcwd(), sys.stdout, signal.getsignal(signal.SIGTERM), warnings.filters[:], os.umask(0o022)
    with unchanged():
        os.chdir(tmp_path)
        sys.stdout = io.StringIO()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        warnings.simplefilter("error")
        np.seterr(all="raise")
        os.umask(0o777)
    assert (os.getcwd(), sys.stdout, signal.getsignal(signal.SIGTERM), warnings.filters[:]) == before[:4]
    assert os.umask(before[4]) == 0o022
    assert np.geterr()["divide"] == "warn"


@pytest.mark.parametrize("value", ["error", "error::DeprecationWarning", "nonsense:::::"])
def test_warnings_of_libraries_are_no_errors(value: str) -> None:
    code = "from harness.system.surroundings import settle; settle(); import warnings, os\n"
    code += "warnings.warn('old', DeprecationWarning); warnings.warn('odd'); print(os.environ.get('PYTHONWARNINGS'))"
    done = python(code, PYTHONWARNINGS=value)
    assert (done.returncode, done.stdout) == (0, "None\n"), done
