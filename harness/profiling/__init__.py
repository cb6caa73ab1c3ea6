"""Memory, time and energy of architectures on one device: the paper's Table 6 and what explains it.

`schedule.measure_cells` measures each phase at each batch in processes of its own, whose body is
`cell.Measuring`. What they leave is put together in `record.MeasurementRecord`s; reports read those and need
no torch.
"""
