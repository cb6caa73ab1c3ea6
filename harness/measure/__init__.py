"""Memory, time and size of one architecture on one device: the columns of the paper's Table 6.

A measurement runs in a process of its own (`process.measure_in_process`), whose body is `cell.measure`. What
it leaves is a `record.MeasurementRecord`; reports read those and need no torch.
"""

from harness.measure.process import measure_in_process
from harness.measure.record import MeasurementRecord, MeasureSpec, load_measurements

__all__ = ["MeasureSpec", "MeasurementRecord", "load_measurements", "measure_in_process"]
