"""Plugins: anyone's network by one function, and one line for what is wrong with it."""

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import architectures
from architectures.external import plugins

ROOT = Path(__file__).parents[2]
TINY = """
import architectures
from torch import nn

@architectures.declare(output_stride=2, revision=3, title="Tiny!")
def my_tiny(num_classes):
    '''One convolution.

    More about it.
    '''
    return nn.Conv2d(3, num_classes, 3, stride=2, padding=1)

def bare(num_classes):
    return nn.Conv2d(3, num_classes, 1)

@architectures.declare(fixed_size=True)
def sized(num_classes, size):
    return nn.Sequential(nn.Conv2d(3, num_classes, 1), nn.Upsample(size))

def no_network(num_classes):
    return num_classes

def strided(num_classes):
    return nn.Conv2d(3, num_classes, 3, stride=2, padding=1)

def fixed_classes(num_classes):
    return nn.Conv2d(3, 21, 1)

segnet = bare
number = 5
"""
DECLARED = "import architectures\n@architectures.declare({})\ndef f(k): ..."
# Of this file's own name, so that no other test's module is met in sys.modules
MODULE = "plugin_of_test_plugins"


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Writes a module of plugins that can be imported, and gives its name; no plugin is known."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv(plugins.VARIABLE, "")
    monkeypatch.delitem(sys.modules, MODULE, raising=False)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def write_module(code: str) -> str:
        (tmp_path / f"{MODULE}.py").write_text(code)
        return MODULE

    return write_module


@pytest.fixture
def module(write: Callable[[str], str]) -> str:
    """Name of a module of all that is in TINY."""
    return write(TINY)


def test_a_plugin_is_an_architecture_like_any_other(module: str) -> None:
    plugins.add([f"{module}:my_tiny", f"{module}:bare"])
    info = architectures.info("my-tiny")
    assert (info.title, info.revision, info.output_stride) == ("Tiny!", 3, 2)
    assert info.summary == "One convolution."
    network = architectures.build("my-tiny", 4, (33, 32))
    assert network(torch.zeros(2, 3, 33, 40)).shape == (2, 4, 17, 20)
    bare = architectures.info("bare")
    assert (bare.title, bare.revision, bare.output_stride, bare.min_size) == ("bare", 1, 1, 32)
    assert os.environ[plugins.VARIABLE] == f"{module}:my_tiny,{module}:bare"
    plugins.add([f"{module}:bare"])  # twice is once
    assert list(plugins.targets()) == ["my-tiny", "bare"]
    assert "my-tiny" not in architectures.names()


def test_an_unknown_name_suggests_a_plugin_too(module: str) -> None:
    plugins.add([f"{module}:my_tiny"])
    with pytest.raises(architectures.ArchitectureError, match=r"'my-tinny'; did you mean 'my-tiny'\?"):
        architectures.info("my-tinny")


def test_one_that_works_for_one_size_is_told_it(module: str) -> None:
    plugins.add([f"{module}:sized"])
    network = architectures.build("sized", 3, (40, 48))
    assert network(torch.zeros(1, 3, 40, 48)).shape == (1, 3, 40, 48)
    with pytest.raises(architectures.ArchitectureError, match="48x40, but it was built for 40x48"):
        network(torch.zeros(1, 3, 48, 40))


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("tiny", "write module:function"),
        ("a b:c", "write module:function"),
        ("no_such_module_here:net", "no module 'no_such_module_here' is found; put its folder on PYTHONPATH"),
        (f"{MODULE}:nothing", "has no 'nothing'"),
        (f"{MODULE}:number", "has no function, but something else, as 'number'"),
        (f"{MODULE}:segnet", "'segnet' is registered twice: in architectures and as"),
    ],
)
def test_a_plugin_that_names_nothing_is_one_line(module: str, target: str, says: str) -> None:
    with pytest.raises(architectures.ArchitectureError) as caught:
        plugins.add([target])
    assert says in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("titles", "other"),
    [
        (["SegNet"], "segnet"),
        (["segnet "], "segnet"),
        (["My  net", "my net"], "second"),
        (["Ä", "A\u0308"], "second"),
        (["ﬁne", "Fine"], "second"),
    ],
)
def test_two_of_one_title_are_refused(titles: list[str], other: str, write: Callable[[str], str]) -> None:
    """In any case, in any Unicode form, with any blanks."""
    made = zip(("first", "second"), titles, strict=False)
    functions = "\n".join(f"@architectures.declare(title={text!r})\ndef {name}(k): ..." for name, text in made)
    module = write(f"import architectures\n{functions}\n")
    wanted = [f"{module}:{name}" for name in ("first", "second")[: len(titles)]]
    with pytest.raises(architectures.ArchitectureError, match=f"{other} has the title .* too; declare another one"):
        plugins.add(wanted)


@pytest.mark.parametrize("name", ["x" * 81, "SEGNET", "ünet"])
def test_a_name_that_would_clash_or_is_no_file_s_is_refused(name: str, write: Callable[[str], str]) -> None:
    module = write(f"def {name}(k): ...\n")
    with pytest.raises(architectures.ArchitectureError, match=r"registered twice|write module|part of a file's name"):
        plugins.add([f"{module}:{name}"])


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("raise RuntimeError('broken\\nhere')", "importing {} raised RuntimeError: broken here"),
        ("def f(:", "importing {} raised SyntaxError"),
        ("import missing_library_x", "{} needs missing_library_x, which is missing"),
        (DECLARED.format("stride=2"), "declare: stride given, but allowed are output_stride, divisor"),
        (DECLARED.format("title='a\\nb'"), "title is 'a\\nb', but must be a line of at most"),
        (DECLARED.format("divisor=0"), "divisor is 0, but must be a whole number from 1"),
    ],
)
def test_a_module_that_cannot_be_imported_is_one_line(code: str, says: str, write: Callable[[str], str]) -> None:
    name = write(code)
    with pytest.raises(architectures.ArchitectureError) as caught:
        plugins.add([f"{name}:f"])
    assert says.format(name) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("function", "says"),
    [
        ("no_network", "gives int, but must give a torch.nn.Module"),
        ("strided", r"logits are \(1, 4, 16, 20\) for images 32x40, but output stride 1 asks for 32x40"),
        ("fixed_classes", r"logits are \(1, 21, 32, 40\) .*, but 4 classes ask for"),
    ],
)
def test_a_network_that_breaks_the_contract_says_how(module: str, function: str, says: str) -> None:
    plugins.add([f"{module}:{function}"])
    with pytest.raises(architectures.ArchitectureError, match=says):
        architectures.build(function.replace("_", "-"), 4)(torch.zeros(1, 3, 32, 40))


def test_an_entry_point_joins_in_and_is_imported_only_when_asked_for(tmp_path: Path) -> None:
    """In a process of its own, with a package that is installed as pip would leave it."""
    (tmp_path / "their_networks.py").write_text(
        "import torch\ndef net(num_classes): return torch.nn.Conv2d(3, num_classes, 1)\n"
    )
    info = tmp_path / "their_networks-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their-networks\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{plugins.GROUP}]\ntheirs = their_networks:net\n")
    code = textwrap.dedent("""
        import sys, architectures
        from architectures.external import plugins
        assert plugins.targets() == {"theirs": "their_networks:net"}
        assert architectures.info("segnet") and "torch" not in sys.modules
        assert "their_networks" not in sys.modules
        network = architectures.build("theirs", 7)
        print(architectures.info("theirs").reference, sum(p.numel() for p in network.parameters()))
    """)
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}", plugins.VARIABLE: ""}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.stdout.strip() == "plugin their_networks:net 28", done.stderr
