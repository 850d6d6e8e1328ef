"""Makes `python -m services` the same as `chasqui`."""

from services.cli import main

main(prog_name="chasqui")
