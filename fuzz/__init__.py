"""What parses the outside world, under a fuzzer that sees which branches it reaches: `python -m fuzz --help`."""
