"""Training: the step, its schedule and its record, on Lightning's Trainer."""
