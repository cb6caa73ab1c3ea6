"""Memory, time and energy of architectures on one device: the paper's Table 6 and what explains it.

`scheduler.run_measurements` measures each phase at each batch in processes of its own, whose body is
`phases.Measuring`. What they leave is put together in `records.measurement.MeasurementRecord`s; reports read
those and need no torch. `timing.time_callables` times anything that can be called.
"""
