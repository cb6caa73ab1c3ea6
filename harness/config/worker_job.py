"""A job: one run of a request, as the process that carries it out is handed it."""

from pathlib import Path

from harness.config.request import RunRequest
from harness.config.run_spec import RunSpec
from harness.system.environment import Device, available_cores, device_name
from harness.system.quantities import Frozen


class WorkerJob(Frozen):
    """What a worker process is handed: the run's spec, which determines its outcome, and the request."""

    spec: RunSpec
    request: RunRequest

    @property
    def world_size(self) -> int:
        """Processes that carry out the run together; the CRF goes image by image, in one."""
        return 1 if self.spec.postprocess else self.request.gpus_per_run

    @property
    def device(self) -> Device:
        """What it computes on; a request that was not resolved means the CPU."""
        return "cuda" if self.request.device == "cuda" else "cpu"

    @property
    def device_title(self) -> str:
        """What the run is carried out on, for readers."""
        name = device_name(self.device)
        return name if self.world_size == 1 else f"{name}, {self.world_size} processes"

    @property
    def threads(self) -> int:
        """torch's threads on a CPU, of each process."""
        return max(1, (self.request.threads or available_cores()) // self.world_size)

    @property
    def weights(self) -> Path | None:
        """File with the encoder's initial weights."""
        return self.request.weights.get(self.spec.initial_weights.key)

    @property
    def results(self) -> Path:
        """Folder of the records."""
        return self.request.results

    @property
    def folder(self) -> Path:
        """Where the run keeps its checkpoint and weights."""
        return self.request.work / "runs" / self.spec.run_id

    @property
    def cache(self) -> Path:
        """Where decoded datasets lie."""
        return self.request.work / "cache"
