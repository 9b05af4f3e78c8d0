"""How fast is `mq`? Every line is ours against theirs, in turns within one run: `python -m bench --help`."""
