"""What the full matrix of runs would cost: work counted, time from measured rates, a simulated schedule.

Importing these modules imports no torch.
"""
