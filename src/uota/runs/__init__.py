"""Run folders: what pretraining leaves there, and what a run may do with it."""
