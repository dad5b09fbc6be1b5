"""Everything that needs a machine with an accelerator, in one call with a deadline; see `tools/on_device.sh`."""
