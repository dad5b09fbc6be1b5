"""Everything that needs an accelerator, in one call with a deadline; started by `tools/on_device.sh`."""
