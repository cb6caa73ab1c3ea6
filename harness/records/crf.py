"""Parameters of the CRF, and what a record says of it. Imports no torch."""

from typing import Literal

from pydantic import Field

from harness.system.quantities import Frozen


class CrfParameters(Frozen):
    """Two kernels and their weights, the labels compared by the Potts model.

    gaussian: exp(-|p - q|^2 / 2 s^2) of positions in pixels. bilateral: the same times
    exp(-|I - J|^2 / 2 c^2) of colors, 0 to 255. Both are normalized symmetrically.
    """

    gaussian_weight: float = Field(3.0, ge=0)
    gaussian_sigma_px: float = Field(3.0, gt=0)
    bilateral_weight: float = Field(ge=0)
    bilateral_sigma_px: float = Field(gt=0)
    color_sigma: float = Field(gt=0, description="of red, green and blue, which lie between 0 and 255")
    iterations: int = Field(10, ge=1)

    @property
    def sigmas(self) -> tuple[float, float, float]:
        """What the kernels depend on: trials that share it share their kernels."""
        return self.gaussian_sigma_px, self.bilateral_sigma_px, self.color_sigma


class SubsetScores(Frozen):
    """Scores on the images of the search, 0 to 1."""

    global_accuracy: float
    class_accuracy: float
    miou: float


class Trial(Frozen):
    """Parameters that were tried, and what they scored on the images of the search."""

    parameters: CrfParameters
    scores: SubsetScores


class CrfTime(Frozen):
    """Wall time of the CRF for one image in the course of the run, kernels included, network not."""

    median_ms: float
    lowest_ms: float
    highest_ms: float
    images: int
    height: int
    width: int
    threads: int | None = Field(description="torch's on a CPU; none on a GPU")


class CrfRecord(Frozen):
    """What a record says of the CRF beyond what every run's record holds."""

    base_run: str = Field(description="id of the run whose network's output was refined")
    parameters: CrfParameters = Field(description="the chosen ones")
    chosen_by: Literal["mIoU", "G"] = Field(description="score on the search's images; the first on a tie")
    search: tuple[Trial, ...]
    search_image_ids: tuple[str, ...] = Field(description="images of val that the search scored")
    without: SubsetScores = Field(description="the network's own output on these images")
    time: CrfTime
