"""Run `python -m training.landmarks.export`."""

from training.landmarks.export.run import main

if __name__ == '__main__':
    main()
