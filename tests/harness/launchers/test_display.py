"""Several runs on one terminal."""

import io
from pathlib import Path

from rich.console import Console

from harness.launchers.display import Display, Tail, log_file
from harness.training.progress import Position, RunProgress, position_file, read_position


def plain() -> tuple[Console, io.StringIO]:
    """A console that is no terminal, and what it gets."""
    said = io.StringIO()
    return Console(file=said, width=200), said


def test_a_tail_gives_whole_lines_once(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("of an earlier segment\n")
    tail = Tail(path)
    assert tail.lines() == []
    with path.open("ab") as log:
        log.write(b"one\ntwo\nthr")
        log.flush()
        assert tail.lines() == ["one", "two"]
        log.write(b"ee \xc3")
        log.flush()
        assert tail.lines() == []
        log.write(b"\xa9\n\xff\n")
        log.flush()
        assert tail.lines() == ["three é", "\ufffd"]
    assert tail.lines() == []


def test_a_log_that_is_not_there_yet_is_waited_for(tmp_path: Path) -> None:
    tail = Tail(tmp_path / "log")
    assert tail.lines() == []
    (tmp_path / "log").write_text("first\n")
    assert tail.lines() == ["first"]


def test_lines_carry_the_run_s_name_once(tmp_path: Path) -> None:
    console, said = plain()
    display = Display(console, 1)
    with display.shown():
        display.follow("segnet-roads-s0-0", tmp_path, ("segnet-roads-s0-0: ", "segnet: "))
        log_file(tmp_path).write_text("segnet: iteration 4 of 4\nsegnet-roads-s0-0: left to it\n[b]bare\n")
        display.ended("segnet-roads-s0-0")
    expected = ["iteration 4 of 4", "left to it", "[b]bare"]
    assert said.getvalue().splitlines() == [f"segnet-roads-s0-0: {line}" for line in expected]


def test_a_bar_follows_the_position_of_this_segment_alone(tmp_path: Path) -> None:
    said = io.StringIO()
    console = Console(file=said, width=200, force_terminal=True)
    write = position_file(tmp_path).write_text
    write(Position(done=7, total=90, note="long ago").model_dump_json())
    display = Display(console, 1)
    with display.shown():
        display.follow("one", tmp_path)
        display.refresh()
        assert "long ago" not in said.getvalue()
        write(Position(done=8, total=90, note="loss 0.5").model_dump_json())
        display.refresh()
        display._bars.refresh()
        assert "8/90" in said.getvalue() and "loss 0.5" in said.getvalue()


def test_a_run_without_a_terminal_keeps_its_position(tmp_path: Path) -> None:
    console, _ = plain()
    progress = RunProgress(console, "segnet", 3, 2, position_file(tmp_path))
    progress.step(1, 0.25, 0.1)
    assert read_position(tmp_path) == Position(done=1, total=3, note="loss 0.250  lr 0.1  0.0 images/s")
    progress.step(2, 0.5, 0.1)  # too soon after the first
    first = read_position(tmp_path)
    assert first is not None and first.done == 1
    progress.step(3, 0.5, 0.1)  # the last is always told
    last = read_position(tmp_path)
    assert last is not None and last.done == 3


def test_a_terminal_s_run_keeps_none_and_a_position_that_cannot_be_written_ends_no_run(tmp_path: Path) -> None:
    RunProgress(Console(file=io.StringIO(), force_terminal=True), "a", 3, 2, position_file(tmp_path)).step(1, 0.5, 0.1)
    assert list(tmp_path.iterdir()) == []
    console, _ = plain()
    (tmp_path / "file").touch()
    RunProgress(console, "a", 3, 2, position_file(tmp_path / "file" / "run")).step(1, 0.5, 0.1)
    assert read_position(tmp_path / "file" / "run") is None


def test_a_damaged_position_is_none(tmp_path: Path) -> None:
    position_file(tmp_path).write_bytes(b'{"done": 3')
    assert read_position(tmp_path) is None
