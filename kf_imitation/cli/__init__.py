"""The command line: one file per command, each with add_arguments() and run().

run() returns the exit code, 0 where it does not say otherwise.

Start with main.py.
"""


def start() -> int:
    """Run a command: the program's entry, to which Ctrl-C is no error from its first line on."""
    try:
        from kf_imitation.cli.main import main

        return main()
    except KeyboardInterrupt:
        return 130
