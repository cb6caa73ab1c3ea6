"""What all tests share: where the real data lies, if it is there."""

import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Generator, Iterator
from multiprocessing.util import Finalize
from pathlib import Path

import pytest
from filelock import FileLock

ROOT = Path(__file__).resolve().parent.parent
FAULTS = ROOT / "tests" / "faults"

MakeOnce = Callable[[str, Callable[[Path], object]], Path]  # (name, what makes the folder) -> the folder


def pytest_configure() -> None:
    """What a test starts must heed the signals that a shell's background job and all its children ignore."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGQUIT, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With SEGNET_NO_SKIPPED_FAULTS set, a fault that can't be injected here fails its test."""
    report = yield
    if report.skipped and os.environ.get("SEGNET_NO_SKIPPED_FAULTS") and FAULTS in item.path.parents:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        report.outcome, report.longrepr = "failed", f"no fault test may be skipped here: {reason}"
    return report


@pytest.fixture(scope="session", autouse=True)
def own_temporary_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Where the harness's lock of this machine lies: nothing outside waits for a test, nor a test for it.

    Not in pytest's own folder, nor that one in it: the sockets that Ray puts there may not have long names.
    """
    tmp_path_factory.getbasetemp()  # settled once asked for
    folder = tempfile.mkdtemp(prefix="segnet-")
    # at this process's end, after multiprocessing has removed what it keeps there (priority -100)
    Finalize(None, shutil.rmtree, args=(folder, True), exitpriority=-200)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", folder)
        patch.setattr(tempfile, "tempdir", None)  # asks the environment anew
        yield


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Commands that a test calls set torch's threads for the whole process, and those after it share their cores."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.get_num_threads() > 1:
        torch.set_num_threads(1)


@pytest.fixture(scope="session")
def common(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of all workers of this session of tests."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session")
def made_once(common: Path) -> MakeOnce:
    """Gives a folder that one worker makes and all read; the others wait meanwhile."""

    def folder(name: str, make: Callable[[Path], object]) -> Path:
        made = common / name
        with FileLock(common / f"{name}.lock"):
            if not made.is_dir():
                shutil.rmtree(common / f"{name}.begun", ignore_errors=True)  # of a worker that failed
                make(common / f"{name}.begun")
                (common / f"{name}.begun").rename(made)
        return made

    return folder


@pytest.fixture(scope="session")
def drawn_cache(common: Path) -> Path:
    """A work folder's cache for all tests, of all workers, that train on drawn scenes: drawing them takes seconds."""
    return common / "drawn"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder beside the project that holds real CamVid and VGG16 weights."""
    folder = Path(os.environ.get("SEGNET_SHARED", ROOT.parent / "shared"))
    if not (folder / "data" / "CamVid").is_dir():
        pytest.skip(f"needs the real CamVid in {folder}/data (set SEGNET_SHARED)")
    return folder
