"""What a user asks for: one request, from the command line through planning and launcher to each run's process."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from harness.config.run_spec import Compiled, Precision


class RunRequest(BaseModel):
    """Which runs, where they are read and written, and how they are carried out.

    What determines a run's outcome goes from here into its `RunSpec`; the rest does not change it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    suite: str | None = Field(None, description="none: the dataset's, or quick")
    dataset: str | None = Field(None, description="folder:PATH is own data; none: the suite's")
    architectures: tuple[str, ...] = Field((), description="names; empty: all of the suite")
    protocol: str | None = Field(None, description="none: the suite's")
    size: str | None = Field(None, description="reduced input size, height x width")
    iterations: int | None = None
    overrides: tuple[str, ...] = Field((), description="field=value of the protocol")
    seeds: tuple[int, ...] = (0,)
    precision: Precision = "fp32"
    compiled: Compiled = "no"
    encoder_weights: tuple[str, ...] = Field((), description="the first that fits; empty: the suite's")

    results: Path = Path("results")
    reports: Path = Path("reports")
    work: Path = Field(Path("work"), description="caches, checkpoints and weights; nothing there is read by a report")
    data_root: str | None = Field(None, description="folder of the dataset; none: embedded, or the default place")
    weights: Mapping[str, Path] = Field({}, description="files of initial weights by InitialWeights.key, once located")

    launcher: str = "local"
    jobs: int = Field(1, ge=1, description="launcher local: runs at once")
    gpus_per_run: int = Field(1, ge=1, description="processes that share each run's batch, a GPU or CPU cores each")
    ray_address: str | None = Field(None, description="launcher ray: an existing cluster; none: one started here")
    slurm: Mapping[str, str] = Field({}, description="launcher slurm: sbatch's options")
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: int = Field(0, ge=0, description="of each run on a CPU; 0: all cores")
    tensorboard: bool = False
    measure: bool = Field(True, description="measure the architectures after training")
    report: bool = Field(True, description="write reports and site at the end")
    deadline_s: float | None = Field(None, description="end of the budget by time.monotonic; none without one")
    heartbeat_timeout_s: float = Field(1800.0, gt=0, description="a run that hangs is ended after it")
