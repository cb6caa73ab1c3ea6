"""A job: a run's spec, with the places and the device, which do not change its outcome."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from harness.config.run_spec import RunSpec
from harness.config.world import WorldInfo
from harness.system.environment import Device, device_name

HEARTBEAT_TIMEOUT_S = 1800.0


class WorkerJob(BaseModel):
    """What a worker process is handed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    spec: RunSpec
    device: Device
    threads: int = Field(ge=1, description="torch's threads on a CPU")
    results: Path
    work: Path = Field(description="caches, checkpoints and weights; nothing there is needed by a report")
    data_root: str | None
    weights: Path | None = Field(description="file with the encoder's initial weights")
    tensorboard: bool = False
    heartbeat_timeout_s: float = Field(
        HEARTBEAT_TIMEOUT_S, gt=0, description="without a sign of life it is ended after it"
    )
    deadline_s: float | None = Field(None, description="by time.monotonic, where a budget ends the run")
    member: WorldInfo | None = Field(None, description="which of several processes; none: the only one")
    parent_pid: int | None = Field(
        None, description="it stops with a checkpoint when this process, which started it, has gone"
    )

    @property
    def rank(self) -> int:
        """This process's among those of the run."""
        return self.member.rank if self.member is not None else 0

    @property
    def is_main_process(self) -> bool:
        """Whether this process prints and writes; the only one does."""
        return self.rank == 0

    @property
    def device_title(self) -> str:
        """What the run is carried out on, for readers."""
        name = device_name(self.device)
        return name if self.member is None else f"{name}, {self.member.processes} processes"

    @property
    def folder(self) -> Path:
        """Where the run keeps its checkpoint and weights."""
        return self.work / "runs" / self.spec.run_id

    @property
    def cache(self) -> Path:
        """Where decoded datasets lie."""
        return self.work / "cache"
