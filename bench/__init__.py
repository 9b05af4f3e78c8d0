"""How fast is `mq`? Each line compares `mq` with a rival; both alternate in one run: `python -m bench --help`."""
