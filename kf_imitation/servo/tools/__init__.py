"""Commands of `kf_imitation servo`: add_arguments(parser) and run(args) -> exit code."""
