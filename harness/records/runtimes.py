"""What measuring other runtimes leaves: `results/runtimes/<device>/<name>-<H>x<W>-<runtime>-<precision>.json`.

A record is one model in one runtime and precision. All of one session were timed in turns in one process, and each
has the figures of torch in float32 of that session, against which its own are read. Imports no torch.
"""

from typing import Literal, Self

from pydantic import Field, model_validator

from harness.records.measurement_values import TimeSummary
from harness.records.store import Manifest, Shelf, Stored
from harness.system.quantities import Quantity

RuntimeName = Literal["torch", "torch-compile", "onnxruntime", "openvino"]
RuntimePrecision = Literal["fp32", "bf16", "int8"]
BASELINE: tuple[RuntimeName, RuntimePrecision] = ("torch", "fp32")


class RuntimeRecord(Stored):
    """One model in one runtime and precision on one device."""

    schema_version: Literal[1] = 1
    name: str = Field(description="the run's id or the folder's name; of drawn weights the architecture")
    architecture: str
    run_id: str = Field(description="empty: the weights are drawn, not trained")
    dataset: str
    num_classes: int
    size: tuple[int, int] = Field(description="(height, width) of the images")
    runtime: RuntimeName
    precision: RuntimePrecision
    threads: int
    preset: str
    device_name: str
    device_slug: str
    session: str = Field(description="start of the session, UTC, ISO 8601; the same for all that were timed in turns")
    failure: str | None = Field(None, description="why it can't be run here; then there are no figures")
    time: TimeSummary | None = Field(None, description="of one image, from array to logits")
    peak_rss_bytes: Quantity = Field(description="resident memory of a process that runs it alone")
    file_bytes: Quantity = Field(description="weights, with the graph where the format holds it")
    miou: Quantity = Field(description="on val, percent")
    equal_labels: Quantity = Field(description="share of pixels labeled as by the baseline")
    largest_difference: Quantity = Field(description="of logits from the baseline's")
    codes_changed: Quantity = Field(description="share of pooling codes that differ from the baseline's")
    operators: dict[str, float] = Field(
        {}, description="those that take most of the time, as the runtime names them, with their shares of it"
    )
    baseline_ms: Quantity = Field(description="torch in float32, in the same session")
    baseline_miou: Quantity
    calibration_images: int | None = Field(
        None, description="where weights were quantized: of train, or of noise for drawn weights (without run_id)"
    )
    versions: dict[str, str] = Field(description="of the runtimes' packages")
    environment: Manifest
    warnings: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _has_figures_or_a_reason(self) -> Self:
        if (self.time is None) != (self.failure is not None):
            raise ValueError("a record has either a time or a failure")
        return self

    @property
    def file_name(self) -> str:
        """Path of the record in its folder; folders of one name are told apart by their runs."""
        height, width = self.size
        run = "" if self.run_id in ("", self.name) else f"-{self.run_id.rpartition('-')[2]}"
        return f"{self.device_slug}/{self.name}{run}-{height}x{width}-{self.runtime}-{self.precision}.json"


RUNTIMES = Shelf(RuntimeRecord, "runtimes", "a record of a runtime")
